"""The intake on a socket that systemd holds."""

import threading
import time
from collections import Counter

from tests.acceptance.harness import ReceiverServer, call, wait_until
from tests.acceptance.simulator import Simulator
from tests.acceptance.systemd.service import Service

CLIENTS = 8


def listen_on_the_passed_socket(service: Service, **intake: object) -> None:
    service.config["intake"].update(listen="systemd:", **intake)
    service.configure()
    service.lab.do("systemctl", "start", "notifier.socket")


def test_restarts_under_load_refuse_no_registration(
    service: Service, simulator: Simulator, receiver: ReceiverServer
) -> None:
    """Eight clients register, each time on a new connection, while the service is restarted twice: every single one is
    told 201, and every watch is there."""
    listen_on_the_passed_socket(service)
    service.start()
    answers: Counter[object] = Counter()
    stop = threading.Event()

    def register(client: int) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = {"task_id": f"stuck-{client}-{number}", "callback_url": f"{receiver.url}/{client}"}
            try:
                answers[call(service.url, "POST", "/v1/watches", body)[0]] += 1
            except (OSError, ValueError) as error:
                answers[repr(error)] += 1
            time.sleep(0.02)

    clients = [threading.Thread(target=register, args=(client,)) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    for _ in range(2):
        enough = answers.total() + 10 * CLIENTS
        wait_until(lambda: answers.total() > enough, "they register")  # noqa: B023 -- waited for within the turn
        service.lab.do("systemctl", "restart", service.unit)
    stop.set()
    for client in clients:
        client.join()
    assert answers.keys() == {201}
    assert service.call("GET", "/metrics")[1].count(f'notifier_watches{{state="watching"}} {answers[201]}.0') == 1


def test_a_connection_starts_the_service(service: Service) -> None:
    """Nothing runs until somebody knocks; who knocked is answered."""
    listen_on_the_passed_socket(service)
    assert service.pid == 0
    assert service.call("GET", "/readyz")[0] == 200


def test_knocking_at_a_wrong_configuration_ends(service: Service) -> None:
    """Each knock would start it anew: after some failures systemd closes the socket, and says so."""
    service.config["providers"]["videos"]["rate"] = "0/s"
    service.drop_in("soon", "[Unit]\nStartLimitBurst=3\n")
    listen_on_the_passed_socket(service)

    def closed() -> bool:
        threading.Thread(target=_knock, args=(service,), daemon=True).start()
        return service.lab.show("notifier.socket", "ActiveState") == "failed"

    wait_until(closed, "the socket is closed")
    assert service.lab.show("notifier.socket", "Result") == "service-start-limit-hit"


def _knock(service: Service) -> None:
    try:
        service.call("GET", "/healthz")
    except OSError:
        return


def test_a_passed_socket_that_others_can_reach_needs_tokens(service: Service) -> None:
    """The configuration cannot know where it listens, so the start finds out; so does a reload that takes the tokens
    away."""
    beyond = "[Socket]\nListenStream=\nListenStream=0.0.0.0:8470\n"
    service.lab.write("/etc/systemd/system/notifier.socket.d/beyond.conf", beyond)
    service.drop_in("quick", "[Service]\nRestart=no\n")
    tokens = service.config["intake"]["tokens"]
    listen_on_the_passed_socket(service, tokens=[])
    assert service.lab.run("systemctl", "start", service.unit).returncode != 0
    assert service.says("daemon.failed", "intake.tokens", "0.0.0.0:8470")
    listen_on_the_passed_socket(service, tokens=tokens)
    service.start()
    listen_on_the_passed_socket(service, tokens=[])
    service.lab.do("systemctl", "reload", service.unit)
    wait_until(lambda: service.says("config.rejected", "intake.tokens"), "the reload is refused")

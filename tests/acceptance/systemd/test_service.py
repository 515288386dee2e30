"""The life of the service on a real systemd."""

from tests.acceptance.harness import ReceiverServer, Simulator, wait_until
from tests.acceptance.systemd.service import Service


def test_it_starts_and_a_task_is_told(service: Service, simulator: Simulator, receiver: ReceiverServer) -> None:
    """With the unit as it is shipped. Started means ready, and the status line has the numbers."""
    simulator.script("task", queued=0, processing=0)
    service.start()
    assert service.call("GET", "/readyz")[0] == 200
    service.watch("task", f"{receiver.url}/task")
    (hook,) = wait_until(lambda: receiver.at("/task"), "the task is told")
    assert hook.event["type"] == "task.completed"
    print(service.show("StatusText"), *service.logged(), sep="\n")

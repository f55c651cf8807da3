"""Pure tasks, done here or in workers that may die; knows nothing of what the tasks are.

``work_off`` is the one loop: it keeps as many tasks in flight as there is room for, hands out what comes
back, and repeats what was lost with its worker. Where tasks are done is a :class:`Workers`: ``Here``, in this
process; ``Processes``, spawned; ``RayActors``, on a cluster; ``Futures``, on any
``concurrent.futures.Executor``.
"""

from robustcheck.distribute._futures import Futures
from robustcheck.distribute._here import Here
from robustcheck.distribute._processes import Processes
from robustcheck.distribute._ray import RayActors
from robustcheck.distribute._tasks import TRIES, Lost, Setup, Task, Tell, Work, Workers, work_off

__all__ = [
    "TRIES",
    "Futures",
    "Here",
    "Lost",
    "Processes",
    "RayActors",
    "Setup",
    "Task",
    "Tell",
    "Work",
    "Workers",
    "work_off",
]

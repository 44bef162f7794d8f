"""Names that moved into modules of their own; being removed."""

from trainers.engine.console import progress as progress
from trainers.engine.run_directory import RunDirectory as RunDirectory
from trainers.engine.run_directory import open_finished as open_finished
from trainers.engine.run_error import RunError as RunError
from trainers.engine.training import load_network as load_network
from trainers.engine.training import train as train
from trainers.tasks.task import Task as Task

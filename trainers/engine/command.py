"""The commands: flags, errors without tracebacks, and the one training command of all tasks."""

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from absl import app, flags, logging

from trainers.engine.choices import define_choice
from trainers.engine.disk_full import is_disk_full
from trainers.engine.flags import define_recipe_flags, recipe_from_flags
from trainers.engine.run_error import RunError
from trainers.tasks.registry import find_task

flags.disclaim_key_flags()  # --help shows them as flags of the command that defines them

RESUME = "The same command resumes it."


@contextlib.contextmanager
def exit_on_error(*errors: type[Exception], interrupted: str = RESUME) -> Iterator[None]:
    """Ends the command with a message instead of a traceback for errors the user can fix.

    Args:
        *errors: The errors that are reported in this way, besides RunError.
        interrupted: What to say after "Interrupted." if the user presses Ctrl-C.
    """
    try:
        yield
    except Exception as error:
        if is_disk_full(error):
            reason = re.sub(r"^{{.*?}} ", "", str(error)).partition("\n")[0]
            message = (
                f"error: the disk is full ({reason}). Files that were complete are kept. Free some "
                f"space. {interrupted}"
            )
            sys.exit(message.rstrip())
        if isinstance(error, (RunError, *errors)):
            sys.exit(f"error: {error}")
        raise
    except KeyboardInterrupt:
        sys.exit(f"Interrupted. {interrupted}".rstrip())


def refuse_arguments(argv: Sequence[str]) -> None:
    """Raises a usage error if there are arguments that are not flags.

    Args:
        argv: The name of the command, and what the flags left of the command line.
    """
    if len(argv) > 1:
        raise app.UsageError(f"unknown arguments: {' '.join(argv[1:])}")


def training_command(
    *tasks: str, **options: flags.FlagHolder[Any]
) -> Callable[[Sequence[str]], None]:
    """Defines the flags of a training command and returns its main function.

    TensorFlow is loaded when a run starts, so that `--help` and usage errors are quick.

    Args:
        *tasks: The names of the tasks in the registry. The first one has the default recipes.
        **options: Further arguments of the task, as the flags that hold their values.

    Returns:
        The function to pass to `absl.app.run`.
    """
    entries = [find_task(task) for task in tasks]
    recipes = {name: recipe for entry in entries for name, recipe in entry.recipes.items()}
    # Of two tasks with the same dataset, the first one has the default recipe.
    defaults: dict[str, str] = {}
    for entry in entries:
        for dataset, recipe_name in entry.default_recipes.items():
            defaults.setdefault(dataset, recipe_name)
    flags.DEFINE_string("run_dir", None, "Folder of the run. Default: runs/RECIPE-seedSEED.")
    flags.DEFINE_string(
        "data_dir",
        None,
        "Folder of the dataset in its official layout, or of its records. Not for generated ones.",
    )
    define_choice(
        "recipe",
        sorted(recipes),
        "The recipe to run. Default: the default recipe of the dataset. If there is one named "
        "DATASET_RECIPE, it is used.",
    )
    flags.DEFINE_string(
        "network_from",
        None,
        "Folder of a finished run that was trained in the same way: its network is evaluated "
        "instead of training one.",
    )
    accept_changed_data = flags.DEFINE_boolean(
        "accept_changed_data",
        False,
        "Whether to resume a run although examples were added, removed or labelled otherwise. "
        "A run whose classes changed is never resumed.",
    )
    define_recipe_flags(*(entry.recipe_class for entry in entries))

    def main(argv: Sequence[str]) -> None:
        refuse_arguments(argv)
        values = flags.FLAGS
        name = values.recipe or defaults[values.dataset or next(iter(defaults))]
        of_dataset = f"{values.dataset}_{name}"
        with exit_on_error(ValueError):
            recipe = recipe_from_flags(recipes[of_dataset if of_dataset in recipes else name])
        run_dir = values.run_dir or f"runs/{recipe.name}-seed{recipe.seed}"
        logging.set_verbosity(logging.WARNING)  # TensorFlow logs every function that it exports
        from trainers.engine.training import train_recipe

        with exit_on_error(ValueError, interrupted="The same command resumes the run."):
            train_recipe(
                recipe,
                run_dir,
                values.data_dir,
                network_from=values.network_from,
                accept_changed_data=accept_changed_data.value,
                **{name: holder.value for name, holder in options.items()},
            )

    return main

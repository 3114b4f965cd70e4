"""`colintern init-base`: writes a base that has a projection, whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from colintern.model.quiet_import import import_engine
from colintern.training.command import prepare_environment


def run_init_base(options: Mapping[str, Any]) -> int:
    """Write the base.

    Returns:
        The exit code.

    Raises:
        click.ClickException: a mistake of the user, a base that is not here, or a full disk.
    """
    prepare_environment(download=options["download"])
    import_engine()
    from colintern.model.loading import LoadError  # noqa: PLC0415 - after the environment is set
    from colintern.training.preflight import PreflightError  # noqa: PLC0415 - as above

    folder, source = Path(options["output_dir"]).absolute(), str(options["source"])
    try:
        parameters = write_base(
            source,
            folder,
            seed=options["seed"],
            dim=options["dim"],
            max_num_visual_tokens=options["max_num_visual_tokens"],
        )
    except (LoadError, PreflightError, ValueError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        remedy = f"name a folder with the whole of {source}, or pass --download"
        raise click.ClickException(f"{error}; {remedy}") from error
    name = options["output_dir"]
    click.echo(f"{name}: {parameters:,} parameters; `colintern train --base {name}`")
    return 0


def write_base(
    source: str,
    folder: Path,
    *,
    seed: int = 0,
    dim: int = 128,
    max_num_visual_tokens: int | None = None,
) -> int:
    """Write the base `source` into `folder`, with a projection drawn from `seed`.

    Args:
        source: folder or Hub id of an InternVL without a projection.
        folder: must not hold anything.
        seed: of the projection.
        dim: width of an embedding.
        max_num_visual_tokens: budget of a page; None keeps the tiling of the source.

    Returns:
        The number of parameters.

    Raises:
        PreflightError: the folder cannot be written or is not empty, or the source is not whole.
        LoadError: tensors of the source are missing or left over, or it has a projection.
    """
    from transformers import InternVLConfig  # noqa: PLC0415 - after the environment is set

    from colintern.model.loading import LoadError, load_base  # noqa: PLC0415 - as above
    from colintern.model.modeling import initialise_projection  # noqa: PLC0415 - as above
    from colintern.model.processing import ColIntern3_5Processor  # noqa: PLC0415 - as above
    from colintern.training.preflight import check_base, resume_point  # noqa: PLC0415 - as above

    resume_point(folder, resume=False)
    check_base(source)
    config = InternVLConfig.from_pretrained(source)
    config.dim = dim
    budget = (
        {} if max_num_visual_tokens is None else {"max_num_visual_tokens": max_num_visual_tokens}
    )
    processor = ColIntern3_5Processor.from_pretrained(source, **budget)
    model, missing = load_base(source, dtype="auto", config=config)
    if not missing:
        raise LoadError(f"{source} has a projection already; train on it as it is")
    initialise_projection(model, seed=seed)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        model.save_pretrained(partial)
        processor.save_pretrained(partial)
        if folder.exists():
            folder.rmdir()
        partial.replace(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return sum(parameter.numel() for parameter in model.parameters())

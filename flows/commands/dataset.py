"""`moodflow dataset`: a public or synthetic study as a ClearML Dataset; private data is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows import settings as product
from flows.commands.errors import SettingError

if TYPE_CHECKING:
    from flows.analyse.provenance import Provenance

Licence = Annotated[str, typer.Option(help="Licence under which the data was published.")]
Source = Annotated[str, typer.Option(help="Citation or address of public data; what generated synthetic data.")]


def dataset(
    file: Annotated[Path, typer.Argument(help="A study as CSV.")],
    source: Source,
    licence: Licence = "",
    synthetic: Annotated[bool, typer.Option("--synthetic", help="The data was generated.")] = False,  # noqa: FBT002 - an option
    name: Annotated[str | None, typer.Option(help="Name of the data set; the file's name without it.")] = None,
) -> None:
    """Keep a public or synthetic study as a ClearML Dataset; answers collected here are refused."""
    from flows.analyse.errors import AnalysisError
    from flows.analyse.provenance import Provenance

    try:
        origin = Provenance("synthetic" if synthetic else "public", source, licence)
        number, data_hash = publish(file, name or file.stem, origin)
    except (AnalysisError, OSError) as error:
        raise SettingError(str(error)) from error
    print(f"data set {name or file.stem}: {number} (data hash {data_hash})")


def publish(file: Path, name: str, origin: Provenance) -> tuple[str, str]:
    """Check a file and make it a data set.

    Returns
    -------
    tuple
        ClearML's id of the data set, and the hash of the data.

    Raises
    ------
    flows.analyse.provenance.PrivateData
        It holds, or may hold, answers collected here.
    flows.analyse.errors.StudyError
        It is no study.
    """
    from flows.analyse.provenance import refuse_private
    from flows.analyse.study import read_frame
    from flows.store import Store

    settings = product.load()
    with file.open("rb") as opened:
        frame = read_frame(opened, file.name, target=None)
    own: set[str] = set()
    if settings.database.exists():
        with Store.open(settings.database) as store:
            own = {p.person for p in store.people.list()} | {str(p) for p in store.people.erased()}
    header = file.open(encoding="utf-8", errors="replace").readline().replace(";", ",").replace("\t", ",").split(",")
    refuse_private(
        file.name,
        [h.strip().strip('"') for h in header],
        [str(p) for p in frame.data["person"].cat.categories],
        own,
        in_home=file.resolve().is_relative_to(settings.home.resolve()),
    )
    return _upload(file, name, settings.project, origin.kind, _described(origin, frame.data_hash)), frame.data_hash


def _described(origin: Provenance, data_hash: str) -> str:
    return f"{origin}\ndata hash {data_hash}"


def _upload(file: Path, name: str, project: str, kind: str, description: str) -> str:
    from clearml import Dataset

    made = Dataset.create(
        dataset_project=f"{project}/datasets", dataset_name=name, dataset_tags=[kind], description=description
    )
    made.add_files(str(file))
    made.upload(show_progress=False)
    made.finalize()
    return str(made.id)

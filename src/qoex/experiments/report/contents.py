"""All that a report says, gathered from a folder's tables, manifests, claims and figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from qoex.experiments.plots.panels import PANELS
from qoex.experiments.report.folder import Folder
from qoex.experiments.report.parts.case_study import CaseStudyPart, case_study
from qoex.experiments.report.parts.claims import Claims, claims
from qoex.experiments.report.parts.convergence import ConvergencePart, convergence
from qoex.experiments.report.parts.figures import Figure, figures
from qoex.experiments.report.parts.inferred import InferredPart, inferred
from qoex.experiments.report.parts.outcomes import Outcomes, outcomes
from qoex.experiments.report.parts.parameters import Parameters, parameters
from qoex.experiments.report.parts.studies import Provenance, provenance


@dataclass(frozen=True)
class ReportContents:
    """The parts of a report, in its order; what the folder does not have is None or empty."""

    claims: Claims | None
    figures: tuple[Figure, ...]
    case_study: CaseStudyPart | None
    parameters: Parameters | None
    inferred: InferredPart | None
    convergence: ConvergencePart | None
    outcomes: Outcomes | None
    provenance: Provenance


def gather(path: Path) -> ReportContents:
    """Return the contents of the report on a folder, or on a part of a reproduction.

    Args:
        path: the folder, with ``tables`` and, where they were made, ``figures`` and
            ``claims.parquet``.

    Raises:
        InvalidInputError: a file in it cannot be read.
    """
    folder = Folder(path)
    return ReportContents(
        claims=claims(folder),
        figures=figures(folder, PANELS),
        case_study=case_study(folder),
        parameters=parameters(folder),
        inferred=inferred(folder),
        convergence=convergence(folder),
        outcomes=outcomes(folder),
        provenance=provenance(folder),
    )

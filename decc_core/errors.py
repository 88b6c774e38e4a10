"""Every error that DECC raises on purpose: one clear sentence naming the thing and the remedy."""

LONGEST = 2000
"""Letters of a sentence; names in it may come from files, and be anything."""


class DeccError(Exception):
    """Base of all errors that a caller may show to a user as they are.

    As text they are one line of bounded length that a terminal can print, whatever the names in it are.
    """

    def __str__(self) -> str:
        text = super().__str__()
        line = "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text[: LONGEST + 1])
        return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


class InvalidGraph(DeccError):
    """A layer graph that is not a well-formed DAG with inputs and outputs."""


class InvalidProfile(DeccError):
    """A device profile with impossible times, or one that belongs to another graph."""


class UnmappedTimes(InvalidProfile):
    """Times of a file that do not fit the layers of a network; `problems` says for each layer, or line, why."""

    def __init__(self, message: str, problems: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class InvalidInstance(DeccError):
    """A combination of graph, profiles, link and requests that cannot be planned."""


class ImpossibleConstraints(InvalidInstance):
    """Constraints that no plan can keep together; the message names one of them."""


class NotPossible(DeccError):
    """A strategy that has no plan under the constraints, although others do."""


class InfeasiblePlan(DeccError):
    """A plan that breaks a rule: an illegal cut, missing work, contradicting sequences."""


class InvalidSchedule(DeccError):
    """A schedule that no set of serial resources could have produced from its plan."""


class UnknownName(DeccError, ValueError):
    """A model, device, strategy or preset that does not exist; the message lists what does."""


class ExtractionFailed(DeccError):
    """A model whose layer graph cannot be exported."""


class UnreadableFile(DeccError):
    """A file that is missing, is not of the expected kind, or does not hold what it says."""


class RefusedFile(DeccError):
    """A file of a kind that is not taken, because it can hold code or does not hold a network; names the remedy.

    `remedy` is text to copy, lines of code mostly, which is shown below the sentence.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class NeedsArchitecture(UnreadableFile):
    """A file of weights, for which nobody has named the network yet."""


class NeedsFiles(RefusedFile):
    """A network that keeps weights in other files, by these names, which nobody has given yet."""

    def __init__(self, message: str, names: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.names = names


class SolverFailed(DeccError):
    """The exact solver ended without a plan, or cannot represent the instance."""


class LeftOut(DeccError):
    """A question about plans that could not be answered, and is left out; the plans themselves stand."""


class InvalidStudy(DeccError):
    """A study's file with a mistake in it; the message names the key and the line."""


class StudyStopped(DeccError):
    """A study that was stopped, or that its processes have left; it may go on from what is finished."""


class WireError(DeccError):
    """A message between workers that is malformed, or that the plan does not expect."""


class WorkerFailed(DeccError):
    """A worker that died, went silent, refused, or could not be reached; the message names it and the request."""


class UnsupportedOperator(DeccError):
    """A model with an operator or an argument that cannot reach a worker as data."""


class SplitFailed(DeccError):
    """Pieces of a network that cannot be written, or that give other outputs than the whole."""

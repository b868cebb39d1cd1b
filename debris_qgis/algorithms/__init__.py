"""The Processing algorithms, one class a file."""

from .corrections import CorrectionsAlgorithm
from .detect import DetectAlgorithm
from .engine_status import EngineStatusAlgorithm
from .evaluate import EvaluateAlgorithm
from .export import ExportAlgorithm
from .overtime import OverTimeAlgorithm
from .prepare import PrepareAlgorithm
from .report import ReportAlgorithm
from .simulate import SimulateAlgorithm
from .train import TrainAlgorithm

ALGORITHMS = (
    DetectAlgorithm,
    PrepareAlgorithm,
    SimulateAlgorithm,
    EngineStatusAlgorithm,
    ExportAlgorithm,
    ReportAlgorithm,
    CorrectionsAlgorithm,
    OverTimeAlgorithm,
    TrainAlgorithm,
    EvaluateAlgorithm,
)

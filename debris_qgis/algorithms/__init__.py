"""The Processing algorithms, one class a file."""

from .detect import DetectAlgorithm
from .engine_status import EngineStatusAlgorithm
from .export import ExportAlgorithm
from .prepare import PrepareAlgorithm
from .report import ReportAlgorithm
from .simulate import SimulateAlgorithm

ALGORITHMS = (
    DetectAlgorithm,
    PrepareAlgorithm,
    SimulateAlgorithm,
    EngineStatusAlgorithm,
    ExportAlgorithm,
    ReportAlgorithm,
)

"""The Processing algorithms, one class a file."""

from .detect import DetectAlgorithm
from .engine_status import EngineStatusAlgorithm
from .export import ExportAlgorithm
from .report import ReportAlgorithm
from .simulate import SimulateAlgorithm

ALGORITHMS = (DetectAlgorithm, SimulateAlgorithm, EngineStatusAlgorithm, ExportAlgorithm, ReportAlgorithm)

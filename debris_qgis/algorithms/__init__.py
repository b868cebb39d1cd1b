"""The Processing algorithms, one class a file."""

from .detect import DetectAlgorithm
from .engine_status import EngineStatusAlgorithm
from .simulate import SimulateAlgorithm

ALGORITHMS = (DetectAlgorithm, SimulateAlgorithm, EngineStatusAlgorithm)

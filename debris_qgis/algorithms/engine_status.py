"""`debris:enginestatus`, Check Engine."""

from qgis.core import QgsProcessingOutputBoolean, QgsProcessingOutputString

from ..engine_environment import EngineNotFound, find_engine, how_to
from ..engine_process import EngineCancelled, EngineError, EngineProcess
from .base import EngineAlgorithm

HELP = """<p>Says whether the other algorithms can run: which Python the engine has, its packages and their versions,
the device it will use, memory, and the models it sees. If it cannot run, says what to do.</p>"""


class EngineStatusAlgorithm(EngineAlgorithm):
    """Has no parameters; its answer is in the log and in two outputs."""

    NAME = "enginestatus"
    DISPLAY_NAME = "Check Engine"
    GROUP = "Engine"
    GROUP_ID = "engine"
    HELP = HELP

    def initAlgorithm(self, configuration=None):  # noqa: N802
        """Declare outputs."""
        self.addOutput(QgsProcessingOutputBoolean("READY", self.tr("The engine can run")))
        self.addOutput(QgsProcessingOutputString("REPORT", self.tr("Report")))

    def processAlgorithm(self, parameters, context, feedback):  # noqa: N802
        """Ask the engine about itself; that it cannot run is an answer, no error."""
        try:
            engine = find_engine()
            result = EngineProcess(engine).run("status", {}, feedback)
        except EngineCancelled:
            return {}
        except EngineNotFound as error:
            return self._answer(False, str(error), feedback)
        except EngineError as error:
            return self._answer(False, f"The engine does not start. {error}\n{how_to()}", feedback)
        lines = [f"Engine {result['engine']} in Python {result['python']}: {result['executable']} ({engine.source})"]
        lines.append("Packages: " + ", ".join(f"{name} {number}" for name, number in result["versions"].items()))
        lines.append(f"Device: {result['device']} ({result['device_reason']}), {result['threads']} CPU thread(s)")
        lines.append(f"Memory: {result['memory_free_mb']} of {result['memory_total_mb']} MB free")
        lines += [_model(entry) for entry in result["models"]]
        ready = not result["problems"]
        lines += [f"Problem: {problem}" for problem in result["problems"]]
        not_ready = f"The engine is not ready. If packages are the problem:\n{how_to()}"
        lines.append("The engine is ready." if ready else not_ready)
        return self._answer(ready, "\n".join(lines), feedback)

    @staticmethod
    def _answer(ready, report, feedback):
        (feedback.pushInfo if ready else feedback.reportError)(report)
        return {"READY": ready, "REPORT": report}


def _model(entry):
    """A model's card in one line."""
    return (
        f"Model: {entry['name']}, made for {entry['level']}; {len(entry['bands'])} bands ({' '.join(entry['bands'])}); "
        f"tells apart {', '.join(entry['classes'])}; "
        f"threshold {entry['threshold']:.3g}; {_score(entry['metrics'])}; {entry['path']}"
    )


def _score(metrics):
    """F1 for debris and what it was measured on, where the card says so."""
    f1 = (metrics.get("debris") or {}).get("f1")
    return "F1 not measured" if f1 is None else f"F1 for debris {f1:.3g} on {metrics.get('data', 'unnamed data')}"

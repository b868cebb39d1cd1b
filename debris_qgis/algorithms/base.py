"""What all algorithms share: how they look in the toolbox, and how they run an engine job."""

from qgis.core import (
    NULL,
    QgsProcessingAlgorithm,
    QgsProcessingException,
    QgsProcessingParameterDefinition,
    QgsProperty,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..about import ICON
from ..compat import ADVANCED
from ..engine_environment import EngineNotFound, find_engine
from ..engine_process import EngineCancelled, EngineError, EngineProcess
from ..paths import absolute, with_absolute
from ..results.quiet import no_side_files


class EngineAlgorithm(QgsProcessingAlgorithm):
    """An algorithm that runs one job of the engine."""

    NAME = ""
    DISPLAY_NAME = ""
    GROUP = ""
    GROUP_ID = ""
    HELP = ""

    @staticmethod
    def tr(text):
        """Translate a text of the user interface."""
        return QCoreApplication.translate("MarineDebris", text)

    def name(self):
        """The algorithm's id within the provider."""
        return self.NAME

    def displayName(self):  # noqa: N802
        """The name in the toolbox."""
        return self.tr(self.DISPLAY_NAME)

    def group(self):
        """The group in the toolbox."""
        return self.tr(self.GROUP)

    def groupId(self):  # noqa: N802
        """The group's id, the same in every language."""
        return self.GROUP_ID

    def shortHelpString(self):  # noqa: N802
        """The help beside the dialog; QGIS would show the source's line ends as paragraphs."""
        return self.tr(" ".join(self.HELP.split()))

    def icon(self):
        """The plugin's icon."""
        return QIcon(str(ICON))

    def svgIconPath(self):  # noqa: N802
        """The same icon as a path."""
        return str(ICON)

    def createInstance(self):  # noqa: N802
        """A new instance, as Processing wants one a run."""
        return type(self)()

    def add(self, parameter: QgsProcessingParameterDefinition, help_text="", advanced=False):
        """Add a parameter, with its help, among the advanced ones where asked."""
        if advanced:
            parameter.setFlags(parameter.flags() | ADVANCED)
        parameter.setHelp(help_text)
        self.addParameter(parameter)

    def checkParameterValues(self, parameters, context):  # noqa: N802
        """What QGIS checks; it opens rasters that are named by their paths, and nothing is left beside them."""
        with no_side_files():
            return super().checkParameterValues(parameters, context)

    def parameterAsRasterLayer(self, parameters, name, context):  # noqa: N802
        """The raster; where it is named by its path and opened here, nothing is left beside its file."""
        with no_side_files():
            return super().parameterAsRasterLayer(parameters, name, context)

    def parameterAsLayer(self, parameters, name, context):  # noqa: N802
        """The layer, opened in the same way."""
        with no_side_files():
            return super().parameterAsLayer(parameters, name, context)

    def parameterAsLayerList(self, parameters, name, context):  # noqa: N802
        """The layers, opened in the same way."""
        with no_side_files():
            return super().parameterAsLayerList(parameters, name, context)

    def parameterAsFile(self, parameters, name, context):  # noqa: N802
        """The file or folder as an absolute path; an empty text where none is given."""
        return absolute(super().parameterAsFile(parameters, name, context).strip())

    def parameterAsFileOutput(self, parameters, name, context):  # noqa: N802
        """Where a file goes, as an absolute path: the current folder is the caller's, the engine has another."""
        return absolute(super().parameterAsFileOutput(parameters, name, context))

    def parameterAsOutputLayer(self, parameters, name, context):  # noqa: N802
        """The same of a layer; QGIS is told the absolute path too, by which it knows what to load."""
        return absolute(super().parameterAsOutputLayer(with_absolute(parameters, name), name, context))

    def number(self, parameters, name, context, whole=False):
        """An optional number, or None where none is given: missing, NULL and an empty text alike.

        They come from scripts, command lines and expressions, and QGIS would take the latter two for 0.
        """
        value = parameters.get(name)
        if isinstance(value, QgsProperty):
            value, _ = value.value(context.expressionContext())
        if value in (None, NULL) or not str(value).strip():
            return None
        return (self.parameterAsInt if whole else self.parameterAsDouble)(parameters, name, context)

    def unsupported_output(self, parameters, context) -> str:
        """Which output has a file ending that the engine does not write, or an empty text."""
        for definition in self.destinationParameterDefinitions():
            value = parameters.get(definition.name())
            # The text alone: asked with the whole definition, QGIS 3.22 would mark the layer as one to load.
            value = value.sink.staticValue() if hasattr(value, "sink") else value
            if value and isinstance(value, str) and self.provider() is not None:
                supported, problem = self.provider().isSupportedOutputValue(value, definition, context)
                if not supported:
                    return f"{definition.name()}: {problem}"
        return ""

    @staticmethod
    def run_job(job, request, feedback, outputs=()):
        """Run one engine job; None where it was cancelled.

        Raises:
            QgsProcessingException: with the engine's one message.
        """
        try:
            return EngineProcess(find_engine()).run(job, request, feedback, outputs)
        except EngineCancelled:
            feedback.pushInfo("Cancelled; nothing was written.")
            return None
        except (EngineNotFound, EngineError) as error:
            raise QgsProcessingException(str(error)) from error

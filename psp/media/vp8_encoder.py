"""aiortc's VP8 encoder, without the short cut that leaves parts of a picture behind.

libvpx may code a macroblock as "same as before, nothing to add" once the block's error
falls below a threshold (``static-thresh``). Together with its noise filter that goes
wrong: the filter puts another prediction in the place of the one that was good enough,
and the verdict stays (libvpx ``vp8_pick_inter_mode``: ``x->skip`` outlives the second
look at ZEROMV). The macroblock then shows what stood there earlier, for one frame.

At aiortc's threshold of 1 the chroma must match exactly, so it strikes hard edges on
grey - text, line drawings, black and white films - and saves nothing elsewhere. At 0
no block is left out; time, size and pictures of coloured clips stay the same.
"""

from aiortc.codecs.vpx import Vp8Encoder
from av.video.codeccontext import VideoCodecContext

_OPTION = "static-thresh"


class WholeVp8Encoder(Vp8Encoder):
    """Encodes every macroblock that has changed."""

    _context: VideoCodecContext | None = None

    @property
    def codec(self) -> VideoCodecContext | None:
        """The codec in use, made anew by aiortc when the bit rate changes.

        aiortc gives it options, looks it up again and only then opens it.
        """
        context = self._context
        if context is not None and not context.is_open:
            context.options = {**context.options, _OPTION: "0"}
        return context

    @codec.setter
    def codec(self, context: VideoCodecContext | None) -> None:
        self._context = context

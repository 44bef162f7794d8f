"""Pictures of results: heat maps over images, boxes, timelines of videos, captioned sheets."""

from keras_has.drawing.images import PREDICTED_BOX_COLOUR as PREDICTED_BOX_COLOUR
from keras_has.drawing.images import TRUE_BOX_COLOUR as TRUE_BOX_COLOUR
from keras_has.drawing.images import Picture as Picture
from keras_has.drawing.images import draw_boxes as draw_boxes
from keras_has.drawing.images import heat_map_overlay as heat_map_overlay
from keras_has.drawing.images import localization_tile as localization_tile
from keras_has.drawing.images import write_png as write_png
from keras_has.drawing.label_maps import label_map_overlay as label_map_overlay
from keras_has.drawing.sheets import sheet as sheet
from keras_has.drawing.timelines import AMBIGUOUS_COLOUR as AMBIGUOUS_COLOUR
from keras_has.drawing.timelines import MAP_COLOUR as MAP_COLOUR
from keras_has.drawing.timelines import TRUTH_COLOUR as TRUTH_COLOUR
from keras_has.drawing.timelines import timeline as timeline

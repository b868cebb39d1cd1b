#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), trains with seed SEED (tools/train_default_model.py) and sets the
# thresholds (tools/calibrate_default_model.py). Needs a folder of real images in MARIDA's layout, TEXTURES (default:
# ../shared/data/marida_train). Takes three to eight minutes for the tiles on two cores, then 20 to 60 on one core; a
# GPU, where there is one, trains in one minute. WIDTH=64 trains the large network.
set -eu

output=${1:-engine/models/default.safetensors}
TEXTURES=${TEXTURES:-../shared/data/marida_train}
PYTHON=${PYTHON:-python3}
export TEXTURES PYTHON

"$(dirname "$0")/make_pool.sh"
"$PYTHON" -m tools.train_default_model --pool build/pool --seed "${SEED:-1}" --width "${WIDTH:-16}" --threads 1 \
    --name "${NAME:-practice-9}" --output "$output.trained"
"$PYTHON" -m tools.calibrate_default_model --model "$output.trained" --pool build/pool --textures "$TEXTURES"
mv "$output.trained" "$output"

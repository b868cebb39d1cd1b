#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), then trains with seed SEED and sets the thresholds
# (tools/train_default_model.py). Needs a folder of real images in MARIDA's layout, TEXTURES (default:
# ../shared/data/marida_train). Takes eight minutes for the tiles on two cores, then an hour on one core.
# WIDTH=64 trains the large network.
set -eu

output=${1:-engine/models/default.safetensors}
textures=${TEXTURES:-../shared/data/marida_train}
python=${PYTHON:-python3}

TEXTURES=$textures PYTHON=$python "$(dirname "$0")/make_pool.sh"
"$python" -m tools.train_default_model --pool build/pool --textures "$textures" --output "$output" \
    --name "${NAME:-practice-5}" --seed "${SEED:-1}" --steps 2000 --width "${WIDTH:-16}" --threads 1

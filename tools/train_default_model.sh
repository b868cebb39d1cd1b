#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Twice: makes tiles (tools/default_model_data.py) and trains with seed SEED, and goes on from there with other tiles at
# a lower rate; then sets the thresholds (tools/train_default_model.py). Needs a folder of real images in MARIDA's
# layout, TEXTURES (default: ../shared/data/marida_train). Takes eight minutes on two cores for the tiles each time,
# then 50 and 40 minutes on one core. WIDTH=64 trains the large network.
set -eu

output=${1:-engine/models/default.safetensors}
textures=${TEXTURES:-../shared/data/marida_train}
python=${PYTHON:-python3}
seed=${SEED:-1}
first=build/first-cycle-$seed.safetensors

train() {
    "$python" -m tools.train_default_model --textures "$textures" --seed "$seed" --width "${WIDTH:-16}" --threads 1 "$@"
}

for number in 0 1; do
    TEXTURES=$textures PYTHON=$python "$(dirname "$0")/make_pool.sh" "$number"
done
train --pool build/pool --steps 2000 --name practice-5 --output "$first"
train --pool build/pool-1 --steps 1600 --rate 0.002 --start "$first" --name "${NAME:-practice-6}" --output "$output"

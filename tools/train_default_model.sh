#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), then trains with seed SEED and sets the thresholds
# (tools/train_default_model.py). Needs a folder of real images in MARIDA's layout, TEXTURES (default:
# ../shared/data/marida_train). Takes eight minutes for the tiles on two cores, then an hour on one core.
# WIDTH=64 trains the large network. SECOND_CYCLE=1 goes on for another 40 minutes with other tiles at a lower rate,
# which was tried and not adopted (docs/accuracy-history.md, practice-6).
set -eu

output=${1:-engine/models/default.safetensors}
textures=${TEXTURES:-../shared/data/marida_train}
python=${PYTHON:-python3}
first=$output
[ -z "${SECOND_CYCLE:-}" ] || first=build/first-cycle.safetensors

pool() {
    TEXTURES=$textures PYTHON=$python "$(dirname "$0")/make_pool.sh" "$1"
}
train() {
    "$python" -m tools.train_default_model --textures "$textures" --seed "${SEED:-1}" --width "${WIDTH:-16}" \
        --threads 1 "$@"
}

pool 0
train --pool build/pool --steps 2000 --name "${NAME:-practice-5}" --output "$first"
if [ -n "${SECOND_CYCLE:-}" ]; then
    pool 1
    train --pool build/pool-1 --steps 1600 --rate 0.002 --start "$first" --name practice-6 --output "$output"
fi

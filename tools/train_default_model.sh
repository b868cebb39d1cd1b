#!/bin/sh
# Train the bundled model, engine/models/default.safetensors, as it was trained: `make model` runs this.
#
#   tools/train_default_model.sh [OUTPUT]
#
# Makes the tiles (tools/default_model_data.py), trains with each of SEEDS (tools/train_default_model.py; build/models
# keeps them), two at once, and sets the thresholds that they share (tools/calibrate_default_model.py); the one of seed
# SEED is the result. Needs a folder of real images in MARIDA's layout, TEXTURES (default: ../shared/data/marida_train).
# Takes three to eight minutes for the tiles, then 40 minutes to two hours, on two cores; a GPU, where there is one,
# trains in minutes. WIDTH=64 trains the large network; MODEL_NAME is what its card calls it.
set -eu

output=${1:-engine/models/default.safetensors}
TEXTURES=${TEXTURES:-../shared/data/marida_train}
PYTHON=${PYTHON:-python3}
SEEDS=${SEEDS:-0 1 2}
SEED=${SEED:-1}
WIDTH=${WIDTH:-16}
models=build/models
export TEXTURES PYTHON

case " $SEEDS " in
*" $SEED "*) ;;
*)
    echo "The seed $SEED is none of the seeds to train: $SEEDS." >&2
    exit 2
    ;;
esac
"$(dirname "$0")/make_pool.sh"
mkdir -p "$models"
# Each seed on one core: as many threads as cores would make other roundings on another machine.
printf '%s\n' $SEEDS | xargs -P 2 -I '{}' "$PYTHON" -m tools.train_default_model --pool build/pool --seed '{}' \
    --width "$WIDTH" --threads 1 ${MODEL_NAME:+--name "$MODEL_NAME"} --output "$models/seed-{}.safetensors"
# shellcheck disable=SC2046  # one word a seed
"$PYTHON" -m tools.calibrate_default_model --pool build/pool --textures "$TEXTURES" \
    --model $(printf "$models/seed-%s.safetensors " $SEEDS)
cp "$models/seed-$SEED.safetensors" "$output.trained"
mv "$output.trained" "$output"

# go.sh NAME ARGUMENTS: a training in the background
export PYTHONPATH=/tmp/site:/tmp/w KERAS_BACKEND=torch; n=$1; shift
cd /tmp/w/gpu; setsid nohup python3 train.py --out /tmp/out/$n "$@" > /tmp/out/$n.out 2>&1 < /dev/null &

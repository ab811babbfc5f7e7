mkdir -p /tmp/w /tmp/blocks /tmp/out && cp -r .stage/code/. /tmp/w/ && cd /tmp/w && tar xf bundle.tar.xz
python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site bundle/wheels/*.whl
export PYTHONPATH=/tmp/site:/tmp/w
setsid nohup nice -n 19 python3 bundle/say.py bundle/texts.txt /tmp/blocks --processes 14 --seconds-of-speech 500000 --seed 1 > /tmp/say.log 2>&1 < /dev/null &
nvidia-smi -L; free -g | sed -n 2p; df -h /tmp | tail -1; nproc
python3 gpu/check.py 2>&1 | tail -20
tail -2 /tmp/say.log; ls /tmp/blocks | wc -l

"""On the device: the kernels against plain code, features against the kit's, the scan's gradient; and the speed of parts."""
import os, sys, time
os.environ["KERAS_BACKEND"] = "torch"
from pathlib import Path
sys.path.insert(0, str(Path(__file__).parent))
import numpy as np, torch
from kernels import cut, cut_plainly, follow, follow_plainly
from sound import FrontEnd
from ds2edge.runtime.features import Features, FeatureSettings
dev = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cuda")
r = np.random.default_rng(1)
pcm = torch.from_numpy(r.integers(-20000, 20000, 100000).astype(np.int16)).to(dev)
t = lambda x: torch.from_numpy(np.array(x)).to(dev)
a = (t([[100, 3000, 1 << 40], [0, 1 << 40, 1 << 40]]), t([[2500, 2000, 0], [4000, 0, 0]]), t([[1000, 5000, 0], [20000, 0, 0]]), t([[1.1, 0.9, 1], [1.0, 1, 1]]), t(np.ones((2, 3), "f")), 6000)
print("cut", (cut(pcm, *a) - cut_plainly(pcm, *a)).abs().max().item(), "exact at speed 1:", (cut(pcm, *a)[1, :4000] * 32768 - pcm[20000:24000].float()).abs().max().item())
x = torch.randn(3, 500, 64, device=dev) * 20 - 60
for y in (x, x.sum(-1, keepdim=True) / 10):
    print("follow", (follow(y, .2, .003, -90) - follow_plainly(y, .2, .003, -90)).abs().max().item())
sound = r.normal(size=(2, 16000)).astype("f") * np.array([[.1], [.001]], "f")
front = FrontEnd("total", dev)
kit = Features(FeatureSettings(mel_bands=64, floor_db=-120, ceiling_db=100))
print("features", max(np.abs(front.decibels(t(sound))[i].cpu().numpy() - kit(sound[i])).max() for i in range(2)), "dB")
if dev.type == "cuda":
    from ds2edge.train.scan import _compose, scan
    from keras import ops
    f, u, w = (torch.rand(4, 150, 512, device=dev), torch.randn(4, 150, 512, device=dev), torch.randn(4, 150, 512, device=dev))
    f.requires_grad_(), u.requires_grad_()
    y = scan(f, u); g = torch.autograd.grad((w * y**2).sum(), (f, u))
    z = ops.associative_scan(_compose, (f, u), axis=1)[1]; h = torch.autograd.grad((w * z**2).sum(), (f, u))
    print("scan", (y - z).abs().max().item(), [((p - q).abs().max() / q.abs().max()).item() for p, q in zip(g, h)])
    f, u = torch.rand(128, 200, 512, device=dev, requires_grad=True), torch.randn(128, 200, 512, device=dev, requires_grad=True)
    for _ in range(3):
        torch.cuda.synchronize(); s = time.time(); y = scan(f, u); torch.cuda.synchronize(); m = time.time(); y.sum().backward(); torch.cuda.synchronize()
        print(f"scan of 128 x 200 x 512: {1e3 * (m - s):.2f} ms, back {1e3 * (time.time() - m):.2f} ms")

#!/bin/sh
# The last step of an image's build: ends it where the image could not use a GPU, or holds what it should not.
# Usage: assert-image.sh APP_FOLDER HANDLER
set -eu

app=$1
handler=$2
runtime=$app/node_modules/onnxruntime-node/bin/napi-v6
here=$runtime/linux/x64

fail() {
  echo "this image would be of no use: $1" >&2
  exit 1
}

for file in onnxruntime_binding.node libonnxruntime.so.1 \
  libonnxruntime_providers_shared.so libonnxruntime_providers_cuda.so; do
  [ -f "$here/$file" ] || fail "$here/$file is missing"
done

# Every library that is linked must be there, in the version that is linked: a provider for CUDA 13 stops here.
# libcuda.so.1 is the driver's, and comes with the machine.
linked=$(ldd "$here/onnxruntime_binding.node" "$here/libonnxruntime_providers_cuda.so")
missing=$(echo "$linked" | grep 'not found' | grep -v '^[[:space:]]*libcuda\.so\.1 ' || true)
[ -z "$missing" ] || fail "libraries of the CUDA provider are missing:
$missing"

# These are opened by name when they are needed, and linked with nothing.
for library in libcudnn.so.9 libcufft.so.11; do
  ldconfig -p | grep -Fq "$library" || fail "$library is missing"
done

for platform in darwin win32 linux/arm64; do
  [ ! -e "$runtime/$platform" ] || fail "it holds ONNX Runtime for $platform"
done
[ -z "${LD_PRELOAD:-}" ] || [ -f "$LD_PRELOAD" ] || fail "$LD_PRELOAD is missing"

cd "$app"
for file in test_input.json "$handler"; do
  [ -f "$file" ] || fail "$file is missing"
done
node -e "require('onnxruntime-node'); require('sharp')" || fail 'a native module does not load'
echo "node $(node --version), $(node -p "'onnxruntime-node ' + require('onnxruntime-node/package.json').version")"

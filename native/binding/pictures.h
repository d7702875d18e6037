// Whole batches of pictures, read by the environment's picture threads.
#pragma once

#include <napi.h>

namespace node_cudnn {

// readPictures(pictures, options): see NativeAddon in lib/native.ts.
Napi::Value read_pictures(const Napi::CallbackInfo& call);

}  // namespace node_cudnn

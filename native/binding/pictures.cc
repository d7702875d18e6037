#include "binding/pictures.h"

#include <algorithm>
#include <optional>

#include "binding/arguments.h"
#include "binding/environment.h"
#include "image/jpeg.h"
#include "image/picture.h"
#include "image/raw.h"

namespace node_cudnn {
namespace {

constexpr int64_t most_side = 1 << 16;
constexpr int64_t most_target_side = 1 << 14;
constexpr int64_t most_scaled_side = 1 << 25;  // a strip of a picture, its short side scaled
constexpr int64_t most_threads = 1024;

struct Picture {
  std::vector<std::byte> bytes;  // a copy: JavaScript may detach or change its array at any time
  image::Size raw;               // of decoded pixels; 0 for a JPEG file
  image::Request request;
};

struct Batch {
  std::vector<Picture> pictures;
  std::vector<std::optional<image::PictureError>> failures;
  image::Size size;
  image::Filter filter;
  bool tolerant;
  uint8_t* pixels;

  void read(size_t index) noexcept;
};

void Batch::read(size_t index) noexcept {
  Picture& picture = pictures[index];
  uint8_t* target = pixels + index * static_cast<size_t>(size.width) * static_cast<size_t>(size.height) * 3;
  try {
    if (picture.raw.width > 0) {
      image::RawReader reader(reinterpret_cast<const uint8_t*>(picture.bytes.data()), picture.raw);
      image::read_picture(reader, picture.request, filter, target);
    } else {
      image::read_picture(*image::open_jpeg(picture.bytes, tolerant), picture.request, filter, target);
    }
  } catch (const image::PictureError& error) {
    failures[index] = error;
  } catch (const std::exception& error) {
    failures[index] = image::PictureError(image::Fault::damaged, error.what());
  }
  std::vector<std::byte>().swap(picture.bytes);
}

// Of a property that is an array of `count` integers.
std::vector<int> integers(const Napi::Object& owner, const char* key, const std::string& what, size_t count,
                          int64_t most) {
  Napi::Value value = owner.Get(key);
  const std::string name = what + "." + key;
  if (!value.IsArray() || value.As<Napi::Array>().Length() != count) {
    throw Error(ErrorCode::argument,
                name + ": expected an array of " + std::to_string(count) + " integers, got " + show(value));
  }
  std::vector<int> numbers;
  for (uint32_t i = 0; i < count; ++i)
    numbers.push_back(static_cast<int>(integer(value.As<Napi::Array>().Get(i), name, 0, most)));
  return numbers;
}

bool flag(const Napi::Object& owner, const char* key, const std::string& what) {
  Napi::Value value = owner.Get(key);
  if (!value.IsUndefined() && !value.IsBoolean())
    throw Error(ErrorCode::argument, what + "." + key + ": expected a boolean, got " + show(value));
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

image::Adjustment read_adjustment(Napi::Value value, const std::string& what) {
  const char* names[] = {"brightness", "contrast", "saturation"};
  auto pair = object(value, what);
  const std::string name = text(pair.Get(uint32_t{0}), what + "[0]");
  const auto* found = std::find(std::begin(names), std::end(names), name);
  if (found == std::end(names))
    throw Error(ErrorCode::argument,
                what + "[0]: expected 'brightness', 'contrast' or 'saturation', got '" + name + "'");
  Napi::Value factor = pair.Get(uint32_t{1});
  const double number = factor.IsNumber() ? factor.As<Napi::Number>().DoubleValue() : -1;
  if (!(number >= 0 && number <= 1000))
    throw Error(ErrorCode::argument, what + "[1]: expected a number from 0 to 1000, got " + show(factor));
  return {static_cast<image::Quality>(found - names), static_cast<float>(number)};
}

std::vector<image::Adjustment> read_adjustments(const Napi::Object& from, const std::string& what) {
  std::vector<image::Adjustment> adjustments;
  Napi::Value value = from.Get("adjust");
  if (value.IsUndefined()) return adjustments;
  const std::string name = what + ".adjust";
  if (!value.IsArray()) throw Error(ErrorCode::argument, name + ": expected an array, got " + show(value));
  auto list = value.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i)
    adjustments.push_back(read_adjustment(list.Get(i), name + "[" + std::to_string(i) + "]"));
  return adjustments;
}

image::Request read_request(const Napi::Object& from, const std::string& what, const image::Size& size) {
  const std::vector<int> box = integers(from, "box", what, 4, most_side);
  const std::vector<int> scaled = integers(from, "scaled", what, 2, most_scaled_side);
  const std::vector<int> offset = integers(from, "offset", what, 2, most_scaled_side);
  if (box[2] < 1 || box[3] < 1) throw Error(ErrorCode::argument, what + ".box: the box is empty");
  if (offset[0] + size.width > scaled[0] || offset[1] + size.height > scaled[1]) {
    throw Error(ErrorCode::argument, what + ": " + std::to_string(size.width) + "x" + std::to_string(size.height) +
                                         " at " + std::to_string(offset[0]) + ", " + std::to_string(offset[1]) +
                                         " lies outside the scaled box of " + std::to_string(scaled[0]) + "x" +
                                         std::to_string(scaled[1]));
  }
  return {{box[0], box[1], box[2], box[3]}, {scaled[0], scaled[1]},     {offset[0], offset[1], size.width, size.height},
          flag(from, "flip", what),         flag(from, "shrink", what), read_adjustments(from, what)};
}

image::Size read_raw_size(const Napi::Object& from, const std::string& what, const image::Box& box) {
  if (from.Get("width").IsUndefined() && from.Get("height").IsUndefined()) return {0, 0};
  const auto width = static_cast<int>(integer(from.Get("width"), what + ".width", 1, most_side));
  const auto height = static_cast<int>(integer(from.Get("height"), what + ".height", 1, most_side));
  if (box.left + box.width > width || box.top + box.height > height)
    throw Error(ErrorCode::argument,
                what + ".box: it leaves the picture of " + std::to_string(width) + "x" + std::to_string(height));
  return {width, height};
}

// The bytes are read last: whatever JavaScript runs before cannot detach them any more.
Picture read_picture_argument(Napi::Value value, const std::string& what, const image::Size& size) {
  Napi::Object from = object(value, what);
  Picture picture;
  picture.request = read_request(from, what, size);
  picture.raw = read_raw_size(from, what, picture.request.box);
  Napi::Value array = from.Get("bytes");
  if (!array.IsTypedArray() || array.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw Error(ErrorCode::argument, what + ".bytes: expected a Uint8Array, got " + show(array));
  const auto bytes = array.As<Napi::Uint8Array>();
  const auto pixels = static_cast<size_t>(picture.raw.width) * static_cast<size_t>(picture.raw.height);
  if (pixels > 0 && bytes.ElementLength() != 3 * pixels)
    throw Error(ErrorCode::argument, what + ".bytes: expected " + std::to_string(3 * pixels) + " bytes, got " +
                                         std::to_string(bytes.ElementLength()));
  const auto* data = reinterpret_cast<const std::byte*>(bytes.Data());
  picture.bytes.assign(data, data + bytes.ElementLength());
  return picture;
}

std::shared_ptr<Batch> read_batch(Napi::Value pictures, const Napi::Object& options) {
  auto batch = std::make_shared<Batch>();
  auto side = [&](const char* key) {
    return static_cast<int>(integer(options.Get(key), std::string("options.") + key, 1, most_target_side));
  };
  batch->size = {side("width"), side("height")};
  const std::string filter = text(options.Get("filter"), "options.filter");
  if (filter != "bilinear" && filter != "bicubic")
    throw Error(ErrorCode::argument, "options.filter: expected 'bilinear' or 'bicubic', got '" + filter + "'");
  batch->filter = filter == "bicubic" ? image::Filter::bicubic : image::Filter::bilinear;
  batch->tolerant = flag(options, "tolerant", "options");
  if (!pictures.IsArray()) throw Error(ErrorCode::argument, "pictures: expected an array, got " + show(pictures));
  auto list = pictures.As<Napi::Array>();
  for (uint32_t i = 0; i < list.Length(); ++i)
    batch->pictures.push_back(read_picture_argument(list.Get(i), "pictures[" + std::to_string(i) + "]", batch->size));
  batch->failures.resize(batch->pictures.size());
  return batch;
}

Napi::Array describe_failures(Napi::Env env, const Batch& batch) {
  auto failures = Napi::Array::New(env);
  for (size_t i = 0; i < batch.failures.size(); ++i) {
    if (!batch.failures[i]) continue;
    auto failure = Napi::Object::New(env);
    failure.Set("index", static_cast<double>(i));
    failure.Set("kind", batch.failures[i]->fault() == image::Fault::unsupported ? "unsupported" : "damaged");
    failure.Set("message", batch.failures[i]->what());
    failures.Set(failures.Length(), failure);
  }
  return failures;
}

}  // namespace

Napi::Value read_pictures(const Napi::CallbackInfo& call) {
  Napi::Env env = call.Env();
  return rejecting(env, [&] {
    Napi::Object options = object(call[1], "options");
    const auto threads = static_cast<size_t>(integer(options.Get("threads"), "options.threads", 1, most_threads));
    std::shared_ptr<Batch> batch = read_batch(call[0], options);
    const auto count = static_cast<int64_t>(batch->pictures.size());
    Landing landing =
        make_landing(env, {DType::uint8, Format::plain, {count, batch->size.height, batch->size.width, 3}});
    batch->pixels = static_cast<uint8_t*>(landing.data);
    auto finish = [batch](Napi::Env env, Napi::Object pixels) -> Napi::Value {
      auto result = Napi::Object::New(env);
      result.Set("pixels", pixels);
      result.Set("failures", describe_failures(env, *batch));
      return result;
    };
    Environment& environment = Environment::of(env);
    environment.picture_threads().grow(threads);
    return environment.submit_pictures(
        batch->pictures.size(), [batch](size_t i) { batch->read(i); }, landing.array, finish);
  });
}

}  // namespace node_cudnn

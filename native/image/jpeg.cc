#include "image/jpeg.h"

#ifdef NODE_CUDNN_JPEG

#include <cstdio>
// jpeglib.h needs <cstdio> before it.
#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <csetjmp>
#include <cstdlib>

namespace node_cudnn::image {
namespace {

constexpr int64_t most_pixels = int64_t{1} << 28;  // what sharp takes as well
constexpr long most_memory = 1L << 30;             // of a progressive picture's coefficients
constexpr int most_scans = 500;                    // a small file may ask for any number of passes over a large picture
constexpr int margin = 2;                          // pixels beside the region that upsampling looks at

// libjpeg reports errors by a function that must not return: it jumps back into guarded().
struct Errors {
  jpeg_error_mgr manager;
  std::jmp_buf back;
  bool tolerant;
  char message[JMSG_LENGTH_MAX];
};

[[noreturn]] void jump_back(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  info->err->format_message(info, errors->message);
  std::longjmp(errors->back, 1);
}

void hear(j_common_ptr info, int level) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  if (level < 0 && !errors->tolerant) jump_back(info);
}

void count_scans(j_common_ptr info) {
  auto* errors = reinterpret_cast<Errors*>(info->err);
  if (reinterpret_cast<j_decompress_ptr>(info)->input_scan_number <= most_scans) return;
  std::snprintf(errors->message, sizeof errors->message, "it has more than %d scans", most_scans);
  std::longjmp(errors->back, 1);
}

// Made first and destroyed last, whatever fails in between.
struct Decompressor {
  jpeg_decompress_struct info = {};
  Errors errors = {};
  jpeg_progress_mgr progress = {};

  ~Decompressor() { jpeg_destroy_decompress(&info); }
};

bool is_another_kind(int code) {
  return code == JERR_BAD_PRECISION || code == JERR_SOF_UNSUPPORTED || code == JERR_ARITH_NOTIMPL ||
         code == JERR_CONVERSION_NOTIMPL;
}

class JpegReader final : public RowReader {
 public:
  JpegReader(std::span<const std::byte> bytes, bool tolerant) {
    jpeg_decompress_struct& info = jpeg_.info;
    info.err = jpeg_std_error(&jpeg_.errors.manager);
    info.err->error_exit = jump_back;
    info.err->emit_message = hear;
    jpeg_.errors.tolerant = tolerant;
    jpeg_.progress.progress_monitor = count_scans;
    guarded([&] {
      jpeg_create_decompress(&info);
      info.progress = &jpeg_.progress;
      info.mem->max_memory_to_use = most_memory;
      jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
      jpeg_read_header(&info, TRUE);
    });
    check();
    if (!tolerant) expect_end();
    info.out_color_space = JCS_EXT_RGBX;
    info.dct_method = JDCT_ISLOW;
  }

  Size size() const override {
    return {static_cast<int>(jpeg_.info.image_width), static_cast<int>(jpeg_.info.image_height)};
  }

  int shrink(int divisor) override {
    jpeg_.info.scale_num = 1;
    jpeg_.info.scale_denom = static_cast<unsigned>(divisor);
    return divisor;
  }

  Row begin(const Box& region) override {
    jpeg_decompress_struct& info = jpeg_.info;
    JDIMENSION left = 0, width = 0;
    guarded([&] {
      jpeg_start_decompress(&info);
      left = static_cast<JDIMENSION>(std::max(0, region.left - margin));
      width = std::min(info.output_width, static_cast<JDIMENSION>(region.left + region.width + margin)) - left;
      jpeg_crop_scanline(&info, &left, &width);
      if (region.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(region.top));
    });
    return {static_cast<int>(info.output_width), region.left - static_cast<int>(left)};
  }

  void next(uint8_t* row) override {
    guarded([&] { jpeg_read_scanlines(&jpeg_.info, &row, 1); });
  }

 private:
  // libjpeg's functions, and nothing that has a destructor.
  template <class Call>
  void guarded(Call call) {
    if (setjmp(jpeg_.errors.back)) {
      const int code = jpeg_.errors.manager.msg_code;
      throw PictureError(is_another_kind(code) ? Fault::unsupported : Fault::damaged, jpeg_.errors.message);
    }
    call();
  }

  void check() const {
    const jpeg_decompress_struct& info = jpeg_.info;
    const auto [width, height] = size();
    const bool usual = info.jpeg_color_space == JCS_GRAYSCALE || info.jpeg_color_space == JCS_YCbCr ||
                       info.jpeg_color_space == JCS_RGB;
    if (!usual || info.data_precision != 8) {
      throw PictureError(Fault::unsupported, "only grey, YCbCr and RGB of 8 bits are read here, not " +
                                                 std::to_string(info.num_components) + " components of " +
                                                 std::to_string(info.data_precision) + " bits");
    }
    if (int64_t{width} * height > most_pixels) {
      throw PictureError(Fault::damaged, "it claims " + std::to_string(width) + "x" + std::to_string(height) +
                                             ", more than 2^28 pixels");
    }
  }

  // The end of the file may lie behind all that is decoded; it is missed in every file that is cut short. The two bytes
  // of its marker cannot occur in entropy-coded data.
  void expect_end() const {
    const jpeg_source_mgr* source = jpeg_.info.src;
    const JOCTET* begin = source->next_input_byte;
    for (const JOCTET* at = begin + source->bytes_in_buffer - 1; at > begin; --at)
      if (at[-1] == 0xFF && at[0] == JPEG_EOI) return;
    throw PictureError(Fault::damaged, "it is cut short: the end marker is missing");
  }

  Decompressor jpeg_;
};

}  // namespace

bool can_read_jpeg() { return true; }

std::unique_ptr<RowReader> open_jpeg(std::span<const std::byte> bytes, bool tolerant) {
  return std::make_unique<JpegReader>(bytes, tolerant);
}

}  // namespace node_cudnn::image

#else

namespace node_cudnn::image {

bool can_read_jpeg() { return false; }

std::unique_ptr<RowReader> open_jpeg(std::span<const std::byte>, bool) {
  throw PictureError(Fault::unsupported, "this build has no libjpeg-turbo");
}

}  // namespace node_cudnn::image

#endif

# Links libjpeg-turbo 1.5 or later (the first to skip rows and crop columns) into the target, where it is found.

include(CheckCXXSourceCompiles)

function(node_cudnn_use_jpeg target)
  find_package(JPEG QUIET)
  if(JPEG_FOUND)
    set(CMAKE_REQUIRED_INCLUDES ${JPEG_INCLUDE_DIRS})
    set(CMAKE_REQUIRED_LIBRARIES ${JPEG_LIBRARIES})
    check_cxx_source_compiles("
      #include <cstdio>
      #include <jpeglib.h>
      int main() {
        jpeg_decompress_struct info;
        info.out_color_space = JCS_EXT_RGBX;
        JDIMENSION left = 0, width = 1;
        jpeg_crop_scanline(&info, &left, &width);
        return static_cast<int>(jpeg_skip_scanlines(&info, 1));
      }" NODE_CUDNN_JPEG_IS_TURBO)
  endif()
  if(NOT NODE_CUDNN_JPEG_IS_TURBO)
    message(WARNING "node-cudnn: no fast path for JPEG files: libjpeg-turbo 1.5 or later was not found; sharp decodes "
      "them, more slowly. Debian, Ubuntu: libjpeg-dev; Homebrew: jpeg-turbo")
    return()
  endif()
  message(STATUS "libjpeg-turbo: ${JPEG_LIBRARIES}")
  target_compile_definitions(${target} PRIVATE NODE_CUDNN_JPEG)
  target_include_directories(${target} SYSTEM PRIVATE ${JPEG_INCLUDE_DIRS})
  target_link_libraries(${target} PRIVATE ${JPEG_LIBRARIES})
endfunction()

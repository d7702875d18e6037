export { encodeNpy, writeNpy } from './npy.ts';
export {
  readHeader,
  readSafetensors,
  SafetensorsError,
  type SafetensorsFile,
  type SafetensorsHeader,
  type Tensor,
  type TensorArrays,
  type TensorDType,
  type TensorInfo,
  writeSafetensors,
} from './safetensors.ts';

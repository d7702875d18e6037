import { fileURLToPath } from 'node:url';

/** 4,000 training and 1,000 test pictures of CIFAR-10 as JPEG (quality 75); data/cifar10-mini.README.md says whence. */
export function miniArchive(): string {
  return fileURLToPath(new URL('../../data/cifar10-mini.tar.gz', import.meta.url));
}

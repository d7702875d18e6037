// Makes data/cifar10-mini.tar.gz: 400 training and 100 test pictures of each class, drawn with a fixed seed from the
// JPEG files of CIFAR-10, unchanged. Run: npx tsx scripts/make-cifar10-mini.ts <folder with train/ and test/>
import { createWriteStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { createGzip } from 'node:zlib';
import { pack } from 'tar-stream';
import { Sampler } from '../lib/data/sampler.ts';

const SEED = 10;
const SPLITS = { train: 400, test: 100 };
const EPOCH = new Date(0);

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('usage: make-cifar10-mini.ts <folder with train/ and test/>');

const archive = pack();
const output = createWriteStream(fileURLToPath(new URL('../data/cifar10-mini.tar.gz', import.meta.url)));
const written = pipeline(archive as unknown as NodeJS.ReadableStream, createGzip({ level: 9 }), output);
for (const [split, count] of Object.entries(SPLITS)) {
  const classes = (await readdir(join(folder, split))).sort();
  for (const [label, name] of classes.entries()) {
    const files = (await readdir(join(folder, split, name))).sort();
    const order = new Sampler({ count: files.length, seed: SEED }).order(label);
    const drawn = [...order.subarray(0, count)].map((i) => files[i] as string).sort();
    for (const file of drawn) {
      const path = `${split}/${name}/${file}`;
      archive.entry({ name: path, mtime: EPOCH }, await readFile(join(folder, path)));
    }
  }
}
archive.finalize();
await written;

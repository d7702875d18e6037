// Writes the images of the loss curve, as this project reads them, for generate.py: npx tsx export-images.ts FILE
import { writeFileSync } from 'node:fs';
import { curveImages } from './images.ts';

const [file] = process.argv.slice(2);
if (!file) throw new Error('usage: npx tsx test/goldens/export-images.ts FILE');
writeFileSync(file, await curveImages());

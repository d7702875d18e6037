// Writes the table anew, after a change of cuDNN or of the networks: npx tsx test/cuda/planned/write.ts
import { writeFileSync } from 'node:fs';
import { committed, makeTable } from './table.ts';

const { text, without } = await makeTable();
writeFileSync(committed, text);
console.log(`${committed}: ${text.trimEnd().split('\n').length - 2} convolutions, ${without.length} without a plan`);

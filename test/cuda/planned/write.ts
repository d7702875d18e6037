// Writes the tables anew, after a change of cuDNN or of the networks: npx tsx test/cuda/planned/write.ts [WORD]
// Those alone whose file's name holds the word, where one is given.
import { writeFileSync } from 'node:fs';
import { makeTable, subjects } from './table.ts';

const [word = ''] = process.argv.slice(2);
for (const subject of subjects.filter(({ file }) => file.includes(word))) {
  const { text, without } = await makeTable(subject);
  writeFileSync(subject.file, text);
  console.log(`${subject.file}: ${text.trimEnd().split('\n').length - 2} rows, ${without.length} without a plan`);
}

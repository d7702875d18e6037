// The README's programs run as they stand; only the number of epochs is cut.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

async function programs(): Promise<string[]> {
  const readme = await readFile(join(root, 'README.md'), 'utf8');
  return [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code as string);
}

async function run(code: string): Promise<void> {
  const folder = await mkdtemp(join(root, 'test', 'support', 'readme-'));
  try {
    const file = join(folder, 'program.ts');
    await writeFile(file, code.replaceAll("'node-cudnn'", JSON.stringify(join(root, 'lib', 'index.ts'))));
    await import(pathToFileURL(file).href);
  } finally {
    await rm(folder, { recursive: true });
  }
}

test('the first program trains', async () => {
  const [first = ''] = await programs();
  const short = first.replaceAll('epochs: 15', 'epochs: 1').replace('15 * Math', '1 * Math');
  expect(short).not.toContain('15');
  await run(`${short}\nif (!(bestAccuracy > 0.1)) throw new Error(\`accuracy \${bestAccuracy}\`);`);
});

test("a network of one's own is compiled, run and read", async () => {
  const [, network = '', step = ''] = await programs();
  await run(network + step);
});

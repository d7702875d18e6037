import { posix } from 'node:path';
import { type DecodeOptions, decodePictures, type PictureShape } from './decode.ts';
import { DataError } from './errors.ts';
import { byName, type FileSource, isHidden, type SourceFile } from './source.ts';
import type { DataSet, ImageSet } from './types.ts';

const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'];
const TEST_SPLITS = ['test', 'val'];
const LAYOUT =
  'Lay it out as train/<class>/<picture> and test/<class>/<picture> (or val), or give the binary files of CIFAR ' +
  '(data_batch_1.bin ... or train.bin) or of MNIST (train-images-idx3-ubyte ...)';

interface Named {
  readonly name: string;
}

/** What is asked for names alone. */
export interface Listing<File extends Named> extends Pick<FileSource, 'path' | 'folders' | 'locate'> {
  readonly files: readonly File[];
}

interface Split<File extends Named> {
  /** Where it lies in the source. */
  readonly folder: string;
  readonly files: readonly File[];
  readonly labels: Int32Array;
}

interface Layout<File extends Named> {
  readonly classes: readonly string[];
  readonly train: Split<File>;
  readonly test: Split<File>;
}

/** train/ and test/ (else val/) with one folder a class; the classes are the folder names of train/, sorted. */
export async function readImageFolder(source: FileSource, name: string, options: DecodeOptions): Promise<DataSet> {
  const { classes, train, test } = imageFolderLayout(source);
  const trainSet = await decodeSplit(source, train, classes, 'train', options);
  const testSet = await decodeSplit(source, test, classes, 'test', options, trainSet as PictureShape);
  return { name, classes, train: trainSet, test: testSet };
}

/** Finds splits, classes and pictures by their names alone; the source may have one leading folder. */
export function imageFolderLayout<File extends Named>(source: Listing<File>): Layout<File> {
  const trainFolder = findTrain(source);
  const root = posix.dirname(trainFolder);
  const testFolder = TEST_SPLITS.map((split) => posix.join(root, split)).find((path) => source.folders.includes(path));
  if (testFolder === undefined)
    throw new DataError(source.locate(root), 'has train/, but neither test/ nor val/', LAYOUT);
  const classes = childFolders(source, trainFolder);
  if (classes.length === 0) throw new DataError(source.locate(trainFolder), 'holds no class folders', LAYOUT);
  const train = collect(source, trainFolder, classes);
  const present = new Set(train.labels);
  for (const [label, name] of classes.entries())
    if (!present.has(label)) throw emptyClass(source, posix.join(trainFolder, name));
  checkTestClasses(source, testFolder, classes);
  const test = collect(source, testFolder, classes);
  if (test.files.length === 0) throw emptyClass(source, testFolder);
  return { classes, train, test };
}

function findTrain(source: Listing<Named>): string {
  const found = source.folders.filter((folder) => posix.basename(folder) === 'train' && folder.split('/').length <= 2);
  const depth = Math.min(...found.map((folder) => folder.split('/').length));
  const [first, second] = found.filter((folder) => folder.split('/').length === depth);
  if (first === undefined) throw new DataError(source.path, `has no folder train/ (${contents(source)})`, LAYOUT);
  if (second !== undefined)
    throw new DataError(source.path, `holds more than one set: ${first} and ${second}`, 'Name the one to use');
  return first;
}

function contents(source: Listing<Named>): string {
  const top = new Set([...source.folders, ...source.files.map((file) => file.name)].map((name) => name.split('/')[0]));
  const names = [...top].sort().slice(0, 8).join(', ');
  return top.size === 0 ? 'it is empty' : `it holds ${names}${top.size > 8 ? ' ...' : ''}`;
}

function childFolders(source: Listing<Named>, folder: string): string[] {
  return source.folders
    .filter((name) => posix.dirname(name) === folder && !isHidden(posix.basename(name)))
    .map((name) => posix.basename(name))
    .sort(byName);
}

function collect<File extends Named>(source: Listing<File>, folder: string, classes: readonly string[]): Split<File> {
  const labelOf = new Map(classes.map((name, label) => [posix.join(folder, name), label]));
  const found = source.files
    .filter(({ name }) => labelOf.has(posix.dirname(name)) && EXTENSIONS.includes(posix.extname(name).toLowerCase()))
    .map((file) => ({ file, label: labelOf.get(posix.dirname(file.name)) as number }))
    .sort((a, b) => a.label - b.label || byName(a.file.name, b.file.name));
  return { folder, files: found.map(({ file }) => file), labels: Int32Array.from(found, ({ label }) => label) };
}

function checkTestClasses(source: Listing<Named>, testFolder: string, classes: readonly string[]): void {
  const unknown = childFolders(source, testFolder).find((name) => !classes.includes(name));
  if (unknown !== undefined)
    throw new DataError(
      source.locate(posix.join(testFolder, unknown)),
      `class ${JSON.stringify(unknown)} is in the test set, but not among the ${classes.length} classes of train/`,
      'Add training pictures of it, or remove the folder',
    );
}

function emptyClass(source: Listing<Named>, folder: string): DataError {
  const other = source.files.find(({ name }) => name.startsWith(`${folder}/`));
  const problem = other === undefined ? 'is empty' : `holds no pictures, but ${posix.basename(other.name)}`;
  return new DataError(source.locate(folder), problem, `Put pictures there (${EXTENSIONS.join(', ')}), or remove it`);
}

async function decodeSplit(
  source: FileSource,
  split: Split<SourceFile>,
  classes: readonly string[],
  name: string,
  options: DecodeOptions,
  shape?: PictureShape,
): Promise<ImageSet> {
  const pictures = split.files.map((file) => ({ file: source.locate(file.name), read: () => source.read(file) }));
  const { pixels, indices, height, width, channels } = await decodePictures(
    source.locate(split.folder),
    pictures,
    options,
    shape,
  );
  return {
    name,
    images: pixels,
    labels: Int32Array.from(indices, (i) => split.labels[i] as number),
    count: indices.length,
    height,
    width,
    channels,
    classes,
    files: indices.map((i) => (split.files[i] as SourceFile).name),
  };
}

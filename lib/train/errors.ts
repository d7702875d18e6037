export type TrainingErrorCode =
  | 'ERR_OPTION' // a setting that cannot be, alone or with the others
  | 'ERR_OUTPUT' // the output folder cannot be written, or holds another run
  | 'ERR_CHECKPOINT' // a checkpoint that cannot be read, or belongs to another model
  | 'ERR_WEIGHTS' // weights of a file that do not fit the model
  | 'ERR_MEMORY' // the step needs more memory than the device has
  | 'ERR_SAVE' // a checkpoint or the metrics could not be written
  | 'ERR_NOT_FINITE'; // the loss or the parameters left the finite numbers

/** Errors of training that a person can mend: `code` for programs, a message that names the cure for people. */
export class TrainingError extends Error {
  override readonly name = 'TrainingError';
  readonly code: TrainingErrorCode;

  constructor(code: TrainingErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

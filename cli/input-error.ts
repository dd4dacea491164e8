/** What a command was given to read is not what it should be: a bad line of an import, a value that is no JSON. Exit code `badInput`. */
export class InputError extends Error {
  override readonly name = 'InputError'
}

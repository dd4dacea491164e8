/** The check of options that the calls of compute/ share. */

/** A misspelt option must not be a silent default: TypeError for one that is none of `names`, and for options that are no object. `of` is the call, as the message names it. */
export function checkOptions(options: unknown, of: string, names: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw new TypeError(`options of ${of} must be an object, got ${String(options)}`)
  for (const name of Object.keys(options)) if (!names.includes(name)) throw new TypeError(`unknown option of ${of}: ${name}`)
}

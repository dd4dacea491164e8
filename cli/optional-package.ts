/** Packages that only some imports and exports need: loaded on first use, so that the command works without them. */
import { VarveError } from '../index.ts'

/** What `load` imports; CODEC_MISSING, naming the package, when it is not installed. */
export async function loadOptional<T>(name: string, purpose: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load()
  } catch (cause) {
    const code = (cause as { code?: unknown } | null)?.code
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw cause
    throw new VarveError(
      'CODEC_MISSING',
      `${purpose} needs the package ${name}, which is not installed; install it with: npm install ${name}`,
      {
        cause,
        details: { package: name },
      },
    )
  }
}

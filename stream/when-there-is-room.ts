/** For whoever has nothing better to do than to wait when the commit log is full. */
import { isVarveError } from '../engine/index.ts'
import type { StreamHost } from './host.ts'

/** What the attempt gives, made again after a while as long as it is refused with BUSY: it must leave nothing behind then. */
export async function whenThereIsRoom<T>(host: Pick<StreamHost, 'drain'>, attempt: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (!isVarveError(error, 'BUSY')) throw error
      await host.drain()
    }
  }
}

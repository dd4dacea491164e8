/** Runs the command in this process, as the built file does in one of its own, and gives what it printed. */
import { vi } from 'vitest'
import { run } from '../../../cli/run.ts'

export interface Outcome {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

export async function varve(...args: string[]): Promise<Outcome> {
  const printed = { stdout: '', stderr: '' }
  const catching = (stream: 'stdout' | 'stderr') =>
    vi.spyOn(process[stream], 'write').mockImplementation(((text: string | Uint8Array, ...rest: unknown[]) => {
      printed[stream] += String(text)
      const done = rest.find(argument => typeof argument === 'function') as ((error?: Error | null) => void) | undefined
      done?.(null)
      return true
    }) as never)
  const spies = [catching('stdout'), catching('stderr')]
  try {
    const status = await run(args)
    return { status, ...printed }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

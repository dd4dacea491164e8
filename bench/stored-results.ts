/** Results of earlier runs on disk, and when those of another run may join them. */
import { existsSync, readFileSync } from 'node:fs'

/** What was stored; undefined when nothing was. */
export function storedResults<R>(file: string): R | undefined {
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as R) : undefined
}

/** Numbers of two machines or sizes do not belong into one table. To be called before anything runs: a run may take an hour. */
export function checkAlike<R>(
  file: string,
  stored: R,
  run: { readonly [Name in keyof R]?: unknown },
  ...names: readonly (keyof R & string)[]
): void {
  for (const name of names) {
    if (!isSame(stored[name], run[name])) throw new Error(`--update: ${name} differ from those in ${file}; remove that file to begin anew`)
  }
}

export function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}

/** The stored workloads with those that just ran in place of theirs, in the order of the table. */
export function mergeWorkloads<W extends { readonly name: string }>(
  stored: readonly W[],
  ran: readonly W[],
  order: readonly { readonly name: string }[],
): W[] {
  const all = new Map([...stored, ...ran].map(workload => [workload.name, workload]))
  return order.flatMap(({ name }) => all.get(name) ?? [])
}

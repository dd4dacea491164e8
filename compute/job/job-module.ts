/** A job's module as it goes to other threads: its URL, and by what they know that they have the same. */
import { fileURLToPath } from 'node:url'
import { type Files, VarveError, xxh64Hex } from '../../engine/index.ts'
import { Flow } from '../flow/flow.ts'
import { sourceNode, type TopicInputOptions } from '../flow/input.ts'
import { planText } from '../plan/explain.ts'
import type { PlanNode } from '../plan/node.ts'
import { Job, namedSource } from './job.ts'

/** What a run knows of its module. */
export interface JobModule {
  readonly url: string
  readonly args: unknown
}

/** Structured-clonable. */
export interface JobModuleData extends JobModule {
  /** xxh64 of the module's file. */
  readonly hash: string
  /** The plan as text: operators, fields, sources. */
  readonly plan: string
}

export async function describeModule({ url, args }: JobModule, plan: PlanNode, files: Files): Promise<JobModuleData> {
  return { url, args, hash: await hashOf(url, files), plan: planText(plan) }
}

/** The plan that the module builds here, with names for sources. DEFINITION_MISMATCH when it is not the one that is described. */
export async function loadPlan({ url, args, hash, plan }: JobModuleData, files: Files): Promise<PlanNode> {
  const actual = await hashOf(url, files)
  if (actual !== hash) throw changed(url, 'its file has changed since the job began', hash, actual)
  const { default: exported } = (await import(url)) as { readonly default?: unknown }
  if (!(exported instanceof Job)) throw changed(url, 'its default export is not a job', 'job', typeof exported)
  const built = exported.build({
    args: args as never,
    store: <V>(name: string) => new Flow<V>(exported.name, sourceNode(namedSource('store', name))),
    topic: <V>(name: string, options?: TopicInputOptions) => new Flow<V>(exported.name, sourceNode(namedSource('topic', name), options)),
    source: source => new Flow(exported.name, sourceNode(source)),
  })
  const text = planText(built.plan)
  if (text !== plan) throw changed(url, 'it builds another flow in a worker thread', plan, text)
  return built.plan
}

async function hashOf(url: string, files: Files): Promise<string> {
  if (!url.startsWith('file:')) return ''
  const file = await files.open(fileURLToPath(url), 'read')
  try {
    const bytes = new Uint8Array(await file.size())
    await file.read(bytes, 0)
    return xxh64Hex(bytes)
  } finally {
    await file.close()
  }
}

function changed(url: string, what: string, expected: string, actual: string): VarveError {
  return new VarveError('DEFINITION_MISMATCH', `job module ${url}: ${what}`, { details: { file: url, expected, actual } })
}

/**
 * What jobs read: each input in the forms that products read it in, all of the same rows. A form is made once, by a process of its own, when a contestant first
 * wants it; contestants only read it.
 */
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { eventForms } from './inputs/events.ts'
import { flightForms } from './inputs/flights.ts'
import { keyForms } from './inputs/keys.ts'
import { recordForms } from './inputs/records.ts'
import { textForms } from './inputs/text.ts'
import type { InputParameters } from './workload.ts'

export type InputName = 'events' | 'flights' | 'keys' | 'records' | 'text'

/** 'topic': a folder of Varve's. 'columns': the same, the topic with its fields declared. 'duckdb': a database file of DuckDB's. 'text': a file of lines. */
export type InputForm = 'topic' | 'columns' | 'csv' | 'parquet' | 'duckdb' | 'text'

/** Makes one form at `path`. */
export interface FormMaker {
  /** Forms that it is made from. */
  readonly from?: readonly InputForm[]
  make(path: string, parameters: InputParameters, pathOf: (form: InputForm) => string): Promise<void>
}

export type Forms = { readonly [form in InputForm]?: FormMaker }

const inputs: { readonly [name in InputName]: Forms } = {
  events: eventForms,
  flights: flightForms,
  keys: keyForms,
  records: recordForms,
  text: textForms,
}

const extensions: { readonly [form in InputForm]: string } = {
  topic: '',
  columns: '',
  csv: '.csv',
  parquet: '.parquet',
  duckdb: '.duckdb',
  text: '.txt',
}

/** Where a form of an input lies, whether it is there or not. */
export function formPath(folder: string, input: InputName, parameters: InputParameters, form: InputForm): string {
  return join(folder, `${input}-${Object.values(parameters).join('-')}`, `${form}${extensions[form]}`)
}

/** The forms that must be made, in order, so that this one can be: those of `from` first. Those that are there are left out. */
export function formsToMake(folder: string, input: InputName, parameters: InputParameters, form: InputForm): InputForm[] {
  if (existsSync(formPath(folder, input, parameters, form))) return []
  const before = makerOf(input, form).from ?? []
  return [...before.flatMap(one => formsToMake(folder, input, parameters, one)), form]
}

/** Makes a form from those that are there. One that was begun and not ended is not there. */
export async function makeForm(folder: string, input: InputName, parameters: InputParameters, form: InputForm): Promise<void> {
  const path = formPath(folder, input, parameters, form)
  const begun = `${path}.begun`
  mkdirSync(join(path, '..'), { recursive: true })
  rmSync(begun, { recursive: true, force: true })
  await makerOf(input, form).make(begun, parameters, one => formPath(folder, input, parameters, one))
  renameSync(begun, path)
}

function makerOf(input: InputName, form: InputForm): FormMaker {
  const maker = inputs[input][form]
  if (maker === undefined) throw new RangeError(`${input} has no form ${form}`)
  return maker
}

/** Numbers as people read them. */

export function count(value: number | undefined): string {
  if (value === undefined) return '–'
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M`
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)} k`
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

export function micros(value: number | undefined): string {
  if (value === undefined) return '–'
  return value >= 10_000 ? `${(value / 1000).toFixed(1)} ms` : value >= 100 ? `${value.toFixed(0)} µs` : `${value.toFixed(1)} µs`
}

export function fixed(value: number | undefined, digits: number): string {
  return value === undefined ? '–' : value.toFixed(digits)
}

export function megabytes(bytes: number | undefined): string {
  return bytes === undefined ? '–' : (bytes / 1e6).toFixed(0)
}

export function ratio(value: number | undefined): string {
  return value === undefined ? '–' : `${value.toFixed(2)} x`
}

export function yesNo(value: boolean | undefined): string {
  return value === undefined ? '–' : value ? 'yes' : 'no'
}

/** Names with numbers, as parameters are shown. */
export function parameterWords(parameters: Readonly<Record<string, number>>): string {
  return Object.entries(parameters)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

/** Where the numbers come from: a result without its machine, runtime and file system says nothing. */

import { readFileSync, statfsSync } from 'node:fs'
import { cpus, platform, release, totalmem } from 'node:os'

export interface Machine {
  readonly cpu: string
  readonly cpuCount: number
  readonly memoryBytes: number
  readonly system: string
  /** Of the folder that was written to. */
  readonly fileSystem: string
  readonly node: string
}

/** Names of the types that Linux's statfs gives. */
const fileSystems: { readonly [type: number]: string } = {
  61267: 'ext4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
  801189825: 'zfs',
}

export function describeMachine(folder: string): Machine {
  const processors = cpus()
  const type = statfsSync(folder).type
  return {
    cpu: cpuModel(processors[0]?.model),
    cpuCount: processors.length,
    memoryBytes: totalmem(),
    system: `${platform()} ${release()}`,
    fileSystem: (platform() === 'linux' ? fileSystems[type] : undefined) ?? `type 0x${type.toString(16)}`,
    node: process.version,
  }
}

/** As reports state it. */
export function machineLine({ cpu, cpuCount, memoryBytes, system, fileSystem }: Machine): string {
  return `${cpu}, ${cpuCount} CPUs, ${Math.round(memoryBytes / 2 ** 30)} GiB, ${system}, ${fileSystem}`
}

/** Some virtual machines tell Node nothing about their processor; the kernel may know more. */
function cpuModel(reported: string | undefined): string {
  if (reported !== undefined && reported !== '' && reported !== 'unknown') return reported.trim()
  try {
    return /^model name\s*: (.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim() ?? 'unknown processor'
  } catch {
    return 'unknown processor'
  }
}

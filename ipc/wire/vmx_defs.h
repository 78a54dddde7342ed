/* SPDX-License-Identifier: (BSD-3-Clause OR GPL-2.0-only) */
/*
 * Numbers of the VMX architecture: control bits, exit reasons, error numbers, MSRs.
 *
 * Freestanding, so that code inside a guest, or a kernel module, can compile it too. Sections are
 * those of the Intel SDM, Volume 3 (3C for chapters 24 to 33), order number 325384-080US, June
 * 2023; later editions may number the chapters higher by one or two, the section titles stay.
 */
#ifndef SX_WIRE_VMX_DEFS_H
#define SX_WIRE_VMX_DEFS_H

#include "ipc/wire/types.h"

#ifdef __KERNEL__
#define UINT32_C(n) n##U
#define UINT64_C(n) n##ULL
#endif

#define SX_VMX_BIT(n) (UINT32_C(1) << (n))

/* Pin-based VM-execution controls: 25.6.1, table 25-5. */
#define SX_PIN_EXT_INTR         SX_VMX_BIT(0)
#define SX_PIN_NMI              SX_VMX_BIT(3)
#define SX_PIN_VIRTUAL_NMIS     SX_VMX_BIT(5)
#define SX_PIN_PREEMPTION_TIMER SX_VMX_BIT(6)
#define SX_PIN_DEFAULT1         UINT32_C(0x00000016)

/* Primary processor-based VM-execution controls: 25.6.2, table 25-6. */
#define SX_CPU_INTR_WINDOW   SX_VMX_BIT(2)
#define SX_CPU_TSC_OFFSET    SX_VMX_BIT(3)
#define SX_CPU_HLT           SX_VMX_BIT(7)
#define SX_CPU_INVLPG        SX_VMX_BIT(9)
#define SX_CPU_MWAIT         SX_VMX_BIT(10)
#define SX_CPU_RDPMC         SX_VMX_BIT(11)
#define SX_CPU_RDTSC         SX_VMX_BIT(12)
#define SX_CPU_CR3_LOAD      SX_VMX_BIT(15)
#define SX_CPU_CR3_STORE     SX_VMX_BIT(16)
#define SX_CPU_CR8_LOAD      SX_VMX_BIT(19)
#define SX_CPU_CR8_STORE     SX_VMX_BIT(20)
#define SX_CPU_TPR_SHADOW    SX_VMX_BIT(21)
#define SX_CPU_NMI_WINDOW    SX_VMX_BIT(22)
#define SX_CPU_MOV_DR        SX_VMX_BIT(23)
#define SX_CPU_UNCOND_IO     SX_VMX_BIT(24)
#define SX_CPU_IO_BITMAPS    SX_VMX_BIT(25)
#define SX_CPU_MONITOR_TRAP  SX_VMX_BIT(27)
#define SX_CPU_MSR_BITMAPS   SX_VMX_BIT(28)
#define SX_CPU_MONITOR       SX_VMX_BIT(29)
#define SX_CPU_PAUSE         SX_VMX_BIT(30)
#define SX_CPU_SECONDARY     SX_VMX_BIT(31)
#define SX_CPU_DEFAULT1      UINT32_C(0x0401e172)
#define SX_CPU_TRUE_DEFAULT1 UINT32_C(0x04006172) /* CR3-load and CR3-store exiting may be 0 */

/* Secondary processor-based VM-execution controls: 25.6.2, table 25-7. */
#define SX_CPU2_EPT          SX_VMX_BIT(1)
#define SX_CPU2_DESC_TABLE   SX_VMX_BIT(2)
#define SX_CPU2_RDTSCP       SX_VMX_BIT(3)
#define SX_CPU2_VPID         SX_VMX_BIT(5)
#define SX_CPU2_WBINVD       SX_VMX_BIT(6)
#define SX_CPU2_UNRESTRICTED SX_VMX_BIT(7)
#define SX_CPU2_PAUSE_LOOP   SX_VMX_BIT(10)
#define SX_CPU2_RDRAND       SX_VMX_BIT(11)
#define SX_CPU2_INVPCID      SX_VMX_BIT(12)
#define SX_CPU2_VMFUNC       SX_VMX_BIT(13)
#define SX_CPU2_VMCS_SHADOW  SX_VMX_BIT(14)
#define SX_CPU2_RDSEED       SX_VMX_BIT(16)
#define SX_CPU2_PML          SX_VMX_BIT(17)
#define SX_CPU2_XSAVES       SX_VMX_BIT(20)
#define SX_CPU2_TSC_SCALING  SX_VMX_BIT(25)

/* Primary VM-exit controls: 25.7.1, table 25-13. */
#define SX_EXITC_SAVE_DEBUG    SX_VMX_BIT(2)
#define SX_EXITC_HOST_64       SX_VMX_BIT(9)
#define SX_EXITC_LOAD_PERF     SX_VMX_BIT(12)
#define SX_EXITC_ACK_INTR      SX_VMX_BIT(15)
#define SX_EXITC_SAVE_PAT      SX_VMX_BIT(18)
#define SX_EXITC_LOAD_PAT      SX_VMX_BIT(19)
#define SX_EXITC_SAVE_EFER     SX_VMX_BIT(20)
#define SX_EXITC_LOAD_EFER     SX_VMX_BIT(21)
#define SX_EXITC_SAVE_TIMER    SX_VMX_BIT(22)
#define SX_EXITC_DEFAULT1      UINT32_C(0x00036dff)
#define SX_EXITC_TRUE_DEFAULT1 UINT32_C(0x00036dfb) /* save debug controls may be 0 */

/* VM-entry controls: 25.8.1, table 25-15. */
#define SX_ENTRYC_LOAD_DEBUG    SX_VMX_BIT(2)
#define SX_ENTRYC_GUEST_64      SX_VMX_BIT(9)
#define SX_ENTRYC_LOAD_PERF     SX_VMX_BIT(13)
#define SX_ENTRYC_LOAD_PAT      SX_VMX_BIT(14)
#define SX_ENTRYC_LOAD_EFER     SX_VMX_BIT(15)
#define SX_ENTRYC_DEFAULT1      UINT32_C(0x000011ff)
#define SX_ENTRYC_TRUE_DEFAULT1 UINT32_C(0x000011fb) /* load debug controls may be 0 */

#define SX_VMFUNC_EPTP_SWITCHING UINT64_C(1) /* 25.6.14 */

/* Interruption information, VM entry and VM exit: tables 25-16 and 25-18. */
#define SX_INTR_VALID         SX_VMX_BIT(31)
#define SX_INTR_ERROR_CODE    SX_VMX_BIT(11)
#define SX_INTR_NMI_UNBLOCK   SX_VMX_BIT(12) /* VM exit only */
#define SX_INTR_TYPE(info)    (((info) >> 8) & 7)
#define SX_INTR_VECTOR(info)  ((info)&0xff)
#define SX_INTR_INFO(type, v) (SX_INTR_VALID | (uint32_t)(type) << 8 | (uint32_t)(v))
enum sx_intr_type {
	SX_INTR_EXTERNAL = 0,
	SX_INTR_NMI = 2,
	SX_INTR_HARDWARE = 3,   /* hardware exception */
	SX_INTR_SOFTWARE = 4,   /* INT n */
	SX_INTR_PRIVILEGED = 5, /* INT1 */
	SX_INTR_SOFT_EXC = 6,   /* INT3, INTO */
	SX_INTR_OTHER = 7,      /* VM entry only: pending MTF VM exit */
};

/* Guest interruptibility state: table 25-3; activity state: 25.4.2; pending debug: table 25-4. */
#define SX_BLOCK_STI       SX_VMX_BIT(0)
#define SX_BLOCK_MOV_SS    SX_VMX_BIT(1)
#define SX_BLOCK_SMI       SX_VMX_BIT(2)
#define SX_BLOCK_NMI       SX_VMX_BIT(3)
#define SX_PENDING_DBG_BS  UINT64_C(0x4000)
#define SX_PENDING_DBG_BP  UINT64_C(0x1000)
#define SX_PENDING_DBG_B03 UINT64_C(0x000f)
enum sx_activity {
	SX_ACTIVE = 0,
	SX_ACTIVITY_HLT = 1,
	SX_ACTIVITY_SHUTDOWN = 2,
	SX_ACTIVITY_WAIT_SIPI = 3,
};

/* Segment access rights as the VMCS holds them: table 25-2. */
#define SX_AR_TYPE(ar) ((ar)&0xf)
#define SX_AR_DPL(ar)  (((ar) >> 5) & 3)
#define SX_AR_S        SX_VMX_BIT(4)
#define SX_AR_P        SX_VMX_BIT(7)
#define SX_AR_L        SX_VMX_BIT(13)
#define SX_AR_DB       SX_VMX_BIT(14)
#define SX_AR_G        SX_VMX_BIT(15)
#define SX_AR_UNUSABLE SX_VMX_BIT(16)

/* Basic exit reasons: Appendix C. */
enum sx_vmx_reason {
	SX_VMEXIT_EXCEPTION_NMI = 0,
	SX_VMEXIT_EXT_INTR = 1,
	SX_VMEXIT_TRIPLE_FAULT = 2,
	SX_VMEXIT_INIT = 3,
	SX_VMEXIT_SIPI = 4,
	SX_VMEXIT_INTR_WINDOW = 7,
	SX_VMEXIT_NMI_WINDOW = 8,
	SX_VMEXIT_TASK_SWITCH = 9,
	SX_VMEXIT_CPUID = 10,
	SX_VMEXIT_GETSEC = 11,
	SX_VMEXIT_HLT = 12,
	SX_VMEXIT_INVD = 13,
	SX_VMEXIT_INVLPG = 14,
	SX_VMEXIT_RDPMC = 15,
	SX_VMEXIT_RDTSC = 16,
	SX_VMEXIT_RSM = 17,
	SX_VMEXIT_VMCALL = 18,
	SX_VMEXIT_VMCLEAR = 19,
	SX_VMEXIT_VMLAUNCH = 20,
	SX_VMEXIT_VMPTRLD = 21,
	SX_VMEXIT_VMPTRST = 22,
	SX_VMEXIT_VMREAD = 23,
	SX_VMEXIT_VMRESUME = 24,
	SX_VMEXIT_VMWRITE = 25,
	SX_VMEXIT_VMXOFF = 26,
	SX_VMEXIT_VMXON = 27,
	SX_VMEXIT_CR_ACCESS = 28,
	SX_VMEXIT_MOV_DR = 29,
	SX_VMEXIT_IO = 30,
	SX_VMEXIT_RDMSR = 31,
	SX_VMEXIT_WRMSR = 32,
	SX_VMEXIT_BAD_GUEST_STATE = 33,
	SX_VMEXIT_BAD_MSR_LOAD = 34,
	SX_VMEXIT_MWAIT = 36,
	SX_VMEXIT_MONITOR_TRAP = 37,
	SX_VMEXIT_MONITOR = 39,
	SX_VMEXIT_PAUSE = 40,
	SX_VMEXIT_TPR_THRESHOLD = 43,
	SX_VMEXIT_GDTR_IDTR = 46,
	SX_VMEXIT_LDTR_TR = 47,
	SX_VMEXIT_EPT_VIOLATION = 48,
	SX_VMEXIT_EPT_MISCONFIG = 49,
	SX_VMEXIT_INVEPT = 50,
	SX_VMEXIT_RDTSCP = 51,
	SX_VMEXIT_PREEMPTION_TIMER = 52,
	SX_VMEXIT_INVVPID = 53,
	SX_VMEXIT_WBINVD = 54,
	SX_VMEXIT_XSETBV = 55,
	SX_VMEXIT_RDRAND = 57,
	SX_VMEXIT_INVPCID = 58,
	SX_VMEXIT_VMFUNC = 59,
	SX_VMEXIT_RDSEED = 61,
	SX_VMEXIT_PML_FULL = 62,
	SX_VMEXIT_XSAVES = 63,
	SX_VMEXIT_XRSTORS = 64,
};
#define SX_VMEXIT_ENTRY_FAILURE SX_VMX_BIT(31) /* set beside reasons 33 and 34: 27.8 */

/* Exit qualification of a VM entry that failed on guest state: 27.8. */
enum sx_vmx_bad_state {
	SX_BAD_STATE = 0,
	SX_BAD_PDPTE = 2,
	SX_BAD_NMI_INJECT = 3,
	SX_BAD_LINK = 4,
};

/* VM-instruction error numbers: 31.4, table 31-1. */
enum sx_vmx_error {
	SX_VMERR_NONE = 0,
	SX_VMERR_VMCALL_IN_ROOT = 1,
	SX_VMERR_VMCLEAR_ADDRESS = 2,
	SX_VMERR_VMCLEAR_VMXON = 3,
	SX_VMERR_VMLAUNCH_NOT_CLEAR = 4,
	SX_VMERR_VMRESUME_NOT_LAUNCHED = 5,
	SX_VMERR_CONTROLS = 7,
	SX_VMERR_HOST_STATE = 8,
	SX_VMERR_VMPTRLD_ADDRESS = 9,
	SX_VMERR_VMPTRLD_VMXON = 10,
	SX_VMERR_VMPTRLD_REVISION = 11,
	SX_VMERR_NO_FIELD = 12,
	SX_VMERR_READ_ONLY = 13,
	SX_VMERR_VMXON_IN_ROOT = 15,
	SX_VMERR_MOV_SS = 26,
	SX_VMERR_INV_OPERAND = 28, /* INVEPT, INVVPID */
};

/* VMX-abort indicators: 28.7. */
enum sx_vmx_abort {
	SX_ABORT_NONE = 0,
	SX_ABORT_SAVE_MSR = 1,
	SX_ABORT_HOST_PDPTE = 2,
	SX_ABORT_VMCS = 3,
	SX_ABORT_LOAD_MSR = 4,
	SX_ABORT_HOST_MODE = 6,
};

/* MSRs: Appendix A and Volume 4. */
#define SX_MSR_FEATURE_CONTROL   UINT32_C(0x3a)
#define SX_MSR_VMX_BASIC         UINT32_C(0x480)
#define SX_MSR_VMX_PIN           UINT32_C(0x481)
#define SX_MSR_VMX_CPU           UINT32_C(0x482)
#define SX_MSR_VMX_EXIT          UINT32_C(0x483)
#define SX_MSR_VMX_ENTRY         UINT32_C(0x484)
#define SX_MSR_VMX_MISC          UINT32_C(0x485)
#define SX_MSR_VMX_CR0_FIXED0    UINT32_C(0x486)
#define SX_MSR_VMX_CR0_FIXED1    UINT32_C(0x487)
#define SX_MSR_VMX_CR4_FIXED0    UINT32_C(0x488)
#define SX_MSR_VMX_CR4_FIXED1    UINT32_C(0x489)
#define SX_MSR_VMX_VMCS_ENUM     UINT32_C(0x48a)
#define SX_MSR_VMX_CPU2          UINT32_C(0x48b)
#define SX_MSR_VMX_EPT_VPID      UINT32_C(0x48c)
#define SX_MSR_VMX_TRUE_PIN      UINT32_C(0x48d)
#define SX_MSR_VMX_TRUE_CPU      UINT32_C(0x48e)
#define SX_MSR_VMX_TRUE_EXIT     UINT32_C(0x48f)
#define SX_MSR_VMX_TRUE_ENTRY    UINT32_C(0x490)
#define SX_MSR_VMX_VMFUNC        UINT32_C(0x491)
#define SX_FEATURE_CONTROL_LOCK  UINT64_C(1)
#define SX_FEATURE_CONTROL_VMXON UINT64_C(4) /* VMX outside SMX operation */
#define SX_MSR_SMM_MONITOR_CTL   UINT32_C(0x9b)
#define SX_MSR_SMBASE            UINT32_C(0x9e)
#define SX_MSR_BIOS_UPDT_TRIG    UINT32_C(0x79)
#define SX_MSR_BIOS_SIGN_ID      UINT32_C(0x8b)
#define SX_MSR_FS_BASE           UINT32_C(0xc0000100)
#define SX_MSR_GS_BASE           UINT32_C(0xc0000101)

/* Capability bits of IA32_VMX_EPT_VPID_CAP: A.10. */
#define SX_EPTCAP_EXEC_ONLY      (UINT64_C(1) << 0)
#define SX_EPTCAP_WALK4          (UINT64_C(1) << 6)
#define SX_EPTCAP_UC             (UINT64_C(1) << 8)
#define SX_EPTCAP_WB             (UINT64_C(1) << 14)
#define SX_EPTCAP_2M             (UINT64_C(1) << 16)
#define SX_EPTCAP_1G             (UINT64_C(1) << 17)
#define SX_EPTCAP_INVEPT         (UINT64_C(1) << 20)
#define SX_EPTCAP_AD             (UINT64_C(1) << 21)
#define SX_EPTCAP_INVEPT_SINGLE  (UINT64_C(1) << 25)
#define SX_EPTCAP_INVEPT_ALL     (UINT64_C(1) << 26)
#define SX_EPTCAP_INVVPID        (UINT64_C(1) << 32)
#define SX_EPTCAP_INVVPID_TYPE_0 (UINT64_C(1) << 40) /* individual address; types 1 to 3 follow */
#define SX_EPTCAP_INVVPID_ALL4   (UINT64_C(15) << 40)
#define SX_EPTCAP_ALL_EPT                                                                     \
	(SX_EPTCAP_EXEC_ONLY | SX_EPTCAP_WALK4 | SX_EPTCAP_UC | SX_EPTCAP_WB | SX_EPTCAP_2M | \
	 SX_EPTCAP_1G | SX_EPTCAP_INVEPT | SX_EPTCAP_AD | SX_EPTCAP_INVEPT_SINGLE |           \
	 SX_EPTCAP_INVEPT_ALL)
#define SX_EPTCAP_ALL_VPID (SX_EPTCAP_INVVPID | SX_EPTCAP_INVVPID_ALL4)

/* Control registers, RFLAGS, EFER, DEBUGCTL: 2.5, 3.4.3 (Volume 1), 2.2.1, 18.4.1. */
#define SX_X86_CR0_PE       UINT64_C(0x1)
#define SX_X86_CR0_TS       UINT64_C(0x8)
#define SX_X86_CR0_ET       UINT64_C(0x10)
#define SX_X86_CR0_NE       UINT64_C(0x20)
#define SX_X86_CR0_WP       UINT64_C(0x10000)
#define SX_X86_CR0_NW       UINT64_C(0x20000000)
#define SX_X86_CR0_CD       UINT64_C(0x40000000)
#define SX_X86_CR0_PG       UINT64_C(0x80000000)
#define SX_X86_CR4_PSE      UINT64_C(0x10)
#define SX_X86_CR4_PAE      UINT64_C(0x20)
#define SX_X86_CR4_VMXE     UINT64_C(0x2000)
#define SX_X86_CR4_PCIDE    UINT64_C(0x20000)
#define SX_X86_CR4_SMEP     UINT64_C(0x100000)
#define SX_X86_CR4_SMAP     UINT64_C(0x200000)
#define SX_X86_RFLAGS_1     UINT64_C(0x2)
#define SX_X86_RFLAGS_ARITH UINT64_C(0x8d5) /* CF PF AF ZF SF OF */
#define SX_X86_RFLAGS_CF    UINT64_C(0x1)
#define SX_X86_RFLAGS_ZF    UINT64_C(0x40)
#define SX_X86_RFLAGS_TF    UINT64_C(0x100)
#define SX_X86_RFLAGS_IF    UINT64_C(0x200)
#define SX_X86_RFLAGS_DF    UINT64_C(0x400)
#define SX_X86_RFLAGS_RF    UINT64_C(0x10000)
#define SX_X86_RFLAGS_VM    UINT64_C(0x20000)
#define SX_X86_RFLAGS_AC    UINT64_C(0x40000)
#define SX_X86_EFER_SCE     UINT64_C(0x1)
#define SX_X86_EFER_LME     UINT64_C(0x100)
#define SX_X86_EFER_LMA     UINT64_C(0x400)
#define SX_X86_EFER_NXE     UINT64_C(0x800)
#define SX_X86_DEBUGCTL_LBR UINT64_C(0x1)
#define SX_X86_DEBUGCTL_BTF UINT64_C(0x2)

#define SX_MSR_SYSENTER_CS  UINT32_C(0x174)
#define SX_MSR_SYSENTER_ESP UINT32_C(0x175)
#define SX_MSR_SYSENTER_EIP UINT32_C(0x176)
#define SX_MSR_DEBUGCTL     UINT32_C(0x1d9)
#define SX_MSR_PAT          UINT32_C(0x277)
#define SX_MSR_PERF_GLOBAL  UINT32_C(0x38f)
#define SX_MSR_EFER         UINT32_C(0xc0000080)

/* Exception vectors: 6.15. */
enum sx_vector {
	SX_VEC_DB = 1,
	SX_VEC_NMI = 2,
	SX_VEC_BP = 3,
	SX_VEC_UD = 6,
	SX_VEC_DF = 8,
	SX_VEC_TS = 10,
	SX_VEC_NP = 11,
	SX_VEC_SS = 12,
	SX_VEC_GP = 13,
	SX_VEC_PF = 14,
	SX_VEC_AC = 17,
	SX_VEC_MC = 18,
};

#endif

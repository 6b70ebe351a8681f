// Package snmp is what managers read of a director by SNMP, and what they are told: the MIBs of RFC
// 2787 and RFC 6527, and the one that keepalived brings. It is PURE: it makes variables of a
// configuration and a snapshot, and package agentx hands them on.
package snmp

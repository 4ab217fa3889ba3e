package chaos

import (
	"fmt"
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

// tapName is what a host calls its device.
const tapName = "cable"

// openTap makes a device in the thread's namespace: what the kernel sends there
// is read from the file, frame by frame, and what is written comes in. It goes
// with the file.
func openTap() (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(tapName)
	if err == nil {
		ifr.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("make a TAP device: %w", err)
	}
	return os.NewFile(uintptr(fd), tapName), nil
}

// configure gives a device of the thread's namespace an address, if it is to
// have one, and sets it up.
func configure(device string, at netip.Addr) error {
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("configure %s: %w", device, err)
	}
	defer unix.Close(s)
	set := func(request uint, value func(*unix.Ifreq) error) {
		ifr, e := unix.NewIfreq(device)
		if e == nil {
			e = value(ifr)
		}
		if e == nil {
			e = unix.IoctlIfreq(s, request, ifr)
		}
		if e != nil && err == nil {
			err = fmt.Errorf("configure %s: %w", device, e)
		}
	}
	if at.IsValid() {
		mask := netip.AddrFrom4([4]byte{255, 255, 255, 0})
		set(unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(at.AsSlice()) })
		set(unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask.AsSlice()) })
		set(unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil })
	}
	set(unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil })
	return err
}

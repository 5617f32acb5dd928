import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from bijlighar.dlms import security
from bijlighar.dlms.errors import Forged, LocalProtocolError, Truncated
from bijlighar.dlms.security import Mechanism, Protection

key = st.binary(min_size=16, max_size=16)
title = st.binary(min_size=8, max_size=8)
counter = st.integers(0, 2**32 - 1)


class TestProtection:
    @given(ek=key, ak=key, title=title, counter=counter, plain=st.binary(max_size=300))
    def test_is_aes_gcm_with_a_tag_of_twelve_octets(self, ek, ak, title, counter, plain):
        nonce = title + counter.to_bytes(4, "big")
        encryptor = Cipher(algorithms.AES(ek), modes.GCM(nonce, min_tag_length=12)).encryptor()
        encryptor.authenticate_additional_data(b"\x30" + ak)
        expected = encryptor.update(plain) + encryptor.finalize() + encryptor.tag[:12]

        sealed = Protection(ek=ek, ak=ak).protect(plain, control=0x30, title=title, counter=counter)

        assert sealed == b"\x30" + counter.to_bytes(4, "big") + expected

    @given(ek=key, ak=key, title=title, counter=counter, plain=st.binary(max_size=100))
    @pytest.mark.parametrize("control", [0x00, 0x10, 0x20, 0x30])
    def test_opens_what_it_sealed(self, control, ek, ak, title, counter, plain):
        keys = Protection(ek=ek, ak=ak)

        sealed = keys.protect(plain, control=control, title=title, counter=counter)

        assert keys.unprotect(sealed, title=title) == (plain, True)

    @given(data=st.data(), plain=st.binary(min_size=1, max_size=100))
    @pytest.mark.parametrize("control", [0x10, 0x30])
    def test_sees_any_flipped_bit_behind_the_control(self, control, data, plain):
        keys = Protection(ek=bytes(16), ak=bytes(range(16)))
        sealed = bytearray(keys.protect(plain, control=control, title=b"BIJ00001", counter=7))
        sealed[data.draw(st.integers(1, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))

        assert keys.unprotect(bytes(sealed), title=b"BIJ00001")[1] is False

    @pytest.mark.parametrize("octets", ["", "30", "3000000001", "300000000100112233445566778899aa"])
    def test_tells_what_is_cut_off(self, octets):
        with pytest.raises(Truncated):
            Protection(ek=bytes(16), ak=bytes(16)).unprotect(bytes.fromhex(octets), title=b"BIJ00001")

    @pytest.mark.parametrize("used_up", [-1, 1 << 32])
    def test_never_wraps_the_counter(self, used_up):
        with pytest.raises(LocalProtocolError):
            Protection(ek=bytes(16), ak=bytes(16)).protect(
                b"", control=0x30, title=b"BIJ00001", counter=used_up
            )


class TestProofs:
    @given(challenge=st.binary(min_size=8, max_size=64), secret=key)
    def test_of_mechanism_2_are_made_of_the_challenge(self, challenge, secret):
        answer = security.hls2_answer(challenge, secret=secret)

        assert security.hls2_holds(answer, challenge, secret=secret)
        assert not security.hls2_holds(answer[:-1], challenge, secret=secret)
        assert not security.hls2_holds(answer, challenge[:-1] + bytes((challenge[-1] ^ 1,)), secret=secret)

    @given(challenge=st.binary(min_size=8, max_size=64), counter=counter)
    def test_of_mechanism_5_are_bound_to_title_and_keys(self, challenge, counter):
        keys, others = Protection(ek=bytes(16), ak=bytes(16)), Protection(ek=bytes(16), ak=b"\x01" * 16)

        answer = keys.gmac(challenge, title=b"BIJ00001", counter=counter)

        assert keys.gmac_holds(answer, challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(answer, challenge, title=b"BIJ00002")
        assert not others.gmac_holds(answer, challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(b"\x30" + answer[1:], challenge, title=b"BIJ00001")
        assert not keys.gmac_holds(answer[:-1], challenge, title=b"BIJ00001")


class TestUnwrapKey:
    def test_refuses_another_key_or_a_changed_one(self):
        wrapped = security.wrap_key(kek=bytes(16), key=bytes(range(16)))

        for kek, octets in (
            (b"\x01" * 16, wrapped),
            (bytes(16), wrapped[:-1] + b"\x00"),
            (bytes(16), b"short"),
        ):
            with pytest.raises(Forged):
                security.unwrap_key(kek=kek, wrapped=octets)


class TestMechanism:
    def test_knows_which_are_of_high_level(self):
        assert [mechanism for mechanism in Mechanism if mechanism.is_high_level] == [
            Mechanism.HLS2,
            Mechanism.HLS5,
        ]
